package httpapi

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

type counter struct{ n byte }

func (c *counter) Read(b []byte) (int, error) {
	c.n++
	for i := range b {
		b[i] = c.n
	}
	return len(b), nil
}

func ids(n int) []string {
	var list []string
	at, random := time.Date(2026, 11, 21, 9, 14, 10, 0, time.UTC), &counter{}
	for i := range n {
		list = append(list, authn.NewID(authn.FactorID, at.Add(time.Duration(i)*time.Second), random))
	}
	return list
}

// Page by page one gets everything once, whatever the size of a page.
func TestPaginateWalksEverything(t *testing.T) {
	all := ids(23)
	for _, limit := range []string{"1", "2", "7", "22", "23", "24", "200"} {
		var got []string
		for cursor, n := "", 0; ; n++ {
			if n > len(all) {
				t.Fatalf("limit %s: no end", limit)
			}
			target := "/?limit=" + limit
			if cursor != "" {
				target += "&cursor=" + cursor
			}
			p, err := paginate(httptest.NewRequest("GET", target, nil), all, authn.FactorID, func(s string) string { return s })
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p.Items...)
			if cursor = p.Next; cursor == "" {
				break
			}
		}
		if !slices.Equal(got, all) {
			t.Errorf("limit %s: %v", limit, got)
		}
	}
}

// cve-67: a cursor is an id and nothing else.
func FuzzPaginate(f *testing.F) {
	all := ids(5)
	f.Add("2", all[1])
	f.Add("' OR 1=1", "fac_\x00")
	f.Add("9999999999999999999999", strings.Repeat("v", 100))
	f.Fuzz(func(t *testing.T, limit, cursor string) {
		r := httptest.NewRequest("GET", "/?"+url.Values{"limit": {limit}, "cursor": {cursor}}.Encode(), nil)
		p, err := paginate(r, all, authn.FactorID, func(s string) string { return s })
		if err != nil {
			if e := authn.AsError(err); e.Code != authn.Invalid || len(e.Fields) != 1 {
				t.Errorf("%v", err)
			}
			return
		}
		if !authn.CheckID(authn.FactorID, cursor) || len(p.Items) > len(all) {
			t.Errorf("limit %q cursor %q: %v", limit, cursor, p)
		}
		for _, id := range p.Items {
			if id <= cursor {
				t.Errorf("%s again after %s", id, cursor)
			}
		}
	})
}

func TestGoodAction(t *testing.T) {
	for s, want := range map[string]bool{
		"": false, "billing.change": true, "a": true, "a_1.b_2.c": true, strings.Repeat("a", 64): true,
		strings.Repeat("a", 65): false, ".a": false, "a.": false, "a..b": false, "A": false, "a b": false, "é": false, "a\n": false, "a-b": false,
	} {
		if authn.GoodAction(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("an empty configuration passes")
	}
}
