package httpapi

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// reasonOf is why something is taken away: {"reason": "…"}, or no body at all.
func reasonOf(r *http.Request) (string, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if r.ContentLength == 0 {
		return "", nil
	}
	err := httpserve.Decode(r, &in)
	return in.Reason, err
}

// Limits of a list.
const (
	usualLimit = 50
	maxLimit   = 200
)

// page is a part of a list. Next is the cursor of the part after it; there is
// none at the end.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next_cursor,omitempty"`
}

// paginate cuts a short list that is sorted by id. A cursor is the id of the
// last item seen; it is read strictly (cve-67) and opens nothing: the list is
// the caller's own, whatever the cursor says.
func paginate[T any](r *http.Request, all []T, prefix string, id func(T) string) (page[T], error) {
	query := r.URL.Query()
	limit, err := readLimit(r)
	if err != nil {
		return page[T]{}, err
	}
	if s, ok := query["cursor"]; ok {
		if !authn.CheckID(prefix, s[0]) {
			return page[T]{}, authn.InvalidField("cursor", "invalid", nil)
		}
		for len(all) > 0 && id(all[0]) <= s[0] {
			all = all[1:]
		}
	}
	out := page[T]{Items: []T{}}
	out.Items = append(out.Items, all[:min(limit, len(all))]...)
	if len(all) > limit {
		out.Next = id(out.Items[limit-1])
	}
	return out, nil
}
