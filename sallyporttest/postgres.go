package sallyporttest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Postgres returns the DSN of an empty database for this test, in a PostgreSQL
// server that the test binary starts for itself and that ends with it. Where
// PostgreSQL is not installed the test is skipped, or fails if the environment
// variable SALLYPORT_TEST_REQUIRE lists "postgres".
func Postgres(t testing.TB) string {
	t.Helper()
	dsn, err := newDatabase(t)
	if err == nil {
		return dsn
	}
	if slices.Contains(strings.FieldsFunc(os.Getenv("SALLYPORT_TEST_REQUIRE"), func(r rune) bool { return r == ',' || r == ' ' }), "postgres") {
		t.Fatalf("PostgreSQL is required (SALLYPORT_TEST_REQUIRE) and does not start: %v", err)
	}
	t.Skipf("no PostgreSQL: %v; on Debian and Ubuntu `apt-get install postgresql` is enough, nothing needs to be running", err)
	return ""
}
