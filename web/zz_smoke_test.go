package web_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func TestSmoke(t *testing.T) {
	s := sallyporttest.NewServer(t)
	for _, p := range []string{"/signin", "/healthz", "/nothing"} {
		res, err := http.Get(s.URL + p)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		t.Log(res.StatusCode, res.Header, string(b))
	}
}
