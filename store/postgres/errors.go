package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-mfa/sallyport/store"
)

// failure keeps the SQLSTATE (PostgreSQL documentation, appendix A) and drops
// the message, which may repeat values.
func failure(err error) *store.Failure {
	var known *store.Failure
	if errors.As(err, &known) {
		return known
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// Somebody committed the same number between the look and the write: the second look finds it.
		taken := pg.Code == "23505" && pg.ConstraintName == store.SubjectIndex
		return &store.Failure{Code: pg.Code, Busy: busy(pg.Code), Retry: taken || pg.Code == "40001" || pg.Code == "40P01"}
	}
	// The connection failed, or time ran out.
	f := &store.Failure{Code: "connection", Busy: true}
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			f.Cause = cause
		}
	}
	return f
}

// busy reports whether the server could not, rather than that it would never.
func busy(code string) bool {
	for _, class := range []string{
		"08",    // connection
		"40",    // transaction rolled back
		"53",    // no disk, no memory, too many connections
		"55P03", // lock not available in time
		"57",    // shut down, cancelled, timed out
		"58",    // I/O
		"25006", // read-only: a failover is going on
		"25P03", // idle in a transaction for too long
	} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}

// connectError tells whoever sets it up what is wrong: the refusals of
// prepareConn and of the network, neither of which holds a password.
func connectError(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return fmt.Errorf("%s (SQLSTATE %s)", pg.Message, pg.Code)
	}
	return err
}
