package httpapi

import (
	"bytes"
	_ "embed"
	"net/http"
)

// openAPIDocument is written by hand. What it says of errors is true of the
// outer layer (internal/httpserve), too.
//
//go:embed openapi.json
var openAPIDocument []byte

// openAPI is GET /openapi.json.
func (a *API) openAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPIDocument) // fails only if the client has gone
	return nil
}

// OpenAPI is a copy of the OpenAPI document, for pages that show it.
func OpenAPI() []byte { return bytes.Clone(openAPIDocument) }
