package client

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
)

// page is one part of a list.
type page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor"`
}

func (p *page[T]) whole() bool { return p.Items != nil }

// List goes through a list that comes in pages, for a route that has no method here. It
// asks for the next page only when it is needed. Target is the path without a query;
// query holds the filters, and without a limit 200 come at once. The first error is the
// last that is given.
//
//	for key, err := range client.List[Key](ctx, c, "/api/v1/api-keys", nil) { … }
func List[T any](ctx context.Context, c *Client, target string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		q := url.Values{"limit": {"200"}}
		maps.Copy(q, query)
		for {
			var p page[T]
			if err := c.call(ctx, http.MethodGet, target+"?"+q.Encode(), again, nil, &p); err != nil {
				yield(none, err)
				return
			}
			for _, item := range p.Items {
				if !yield(item, nil) {
					return
				}
			}
			if p.NextCursor == "" {
				return
			}
			if p.NextCursor == q.Get("cursor") {
				yield(none, &Error{Method: http.MethodGet, Path: target, Status: http.StatusOK, why: "a list that does not go on"})
				return
			}
			q.Set("cursor", p.NextCursor)
		}
	}
}

// set adds what is not empty to a query.
func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}
