package httpapi

import (
	"errors"
	"io"
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// maxReceipt is the longest delivery report in bytes.
const maxReceipt = 64 << 10

// receipt takes a delivery report of a company's provider of texts, by POST, or by
// GET where a provider does so. Its signature is its only credential: no cookie and
// no token is looked at. Whoever has none learns only that there is nothing here,
// or that the report is not believed; nothing of it is logged.
func (a *API) receipt(w http.ResponseWriter, r *http.Request) {
	company := r.PathValue("company")
	if !a.Providers.HasTexts() || !authn.CheckID(authn.CompanyID, company) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReceipt))
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	q := authn.ReceiptRequest{Method: r.Method, Header: r.Header, Body: body}
	if r.URL.RawQuery != "" {
		q.URL = "?" + r.URL.RawQuery
	}
	err = a.Providers.Receipt(r.Context(), company, r.PathValue("name"), q)
	if err != nil {
		httpserve.Record(r, err)
	}
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, authn.NotFound):
		w.WriteHeader(http.StatusNotFound)
	case errors.Is(err, authn.Forbidden), errors.Is(err, authn.Invalid):
		w.WriteHeader(http.StatusForbidden)
	default: // ours: the provider may come again
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}
