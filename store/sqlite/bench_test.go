package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func BenchmarkStore(b *testing.B) {
	sallyporttest.BenchStore(b, func(b *testing.B) *sallyporttest.Fixture {
		return fixture(b, filepath.Join(b.TempDir(), "sallyport.db"))
	})
}
