package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// duoServer is a server whose company has Duo, and maya verifies by it.
func duoServer(t *testing.T, opts ...sallyport.Option) (*sallyporttest.Server, sallyporttest.Person) {
	t.Helper()
	return nil, sallyporttest.Person{}
}
