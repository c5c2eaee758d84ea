package directory_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/directory"
)

// What is read is written and read again as the same networks.
func FuzzParseNetworks(f *testing.F) {
	for _, s := range []string{"", "10.0.0.0/8, 192.0.2.7", "2001:db8::/32\n::1", "::ffff:10.0.0.1", "fe80::1%eth0", "10.0.0.1/8 10.0.0.2/8", "0.0.0.0/0", "here"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := directory.ParseNetworks(s)
		if err != nil {
			return
		}
		var words []string
		for _, n := range list {
			if n != n.Masked() || n.Addr().Is4In6() || n.Addr().Zone() != "" {
				t.Errorf("%q: %v", s, n)
			}
			words = append(words, n.String())
		}
		again, err := directory.ParseNetworks(strings.Join(words, " "))
		if err != nil || !slices.Equal(again, list) {
			t.Errorf("%q: %v, then %v %v", s, list, again, err)
		}
	})
}
