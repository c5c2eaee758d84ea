package otp

import "testing"

func TestNormalizeCrockford(t *testing.T) {
	for _, c := range []struct {
		in     string
		length int
		want   string
		ok     bool
	}{
		{"7k3m-q9td", 8, "7K3MQ9TD", true}, {"oO iI lL", 6, "001111", true}, {"ＯＩＬａ", 4, "011A", true}, {"٣3３३", 4, "3333", true},
		{"7K3", 4, "7K3", false}, {"7K3MQ", 4, "7K3MQ", false}, {"", 4, "", false}, {"U", 1, "", false}, {"u", 1, "", false}, {"é", 1, "", false}, {"", 0, "", true},
	} {
		if got, ok := NormalizeCrockford(c.in, c.length); got != c.want || ok != c.ok {
			t.Errorf("NormalizeCrockford(%q, %d) = %q, %v", c.in, c.length, got, ok)
		}
	}
	for _, r := range "ILOU" {
		for _, s := range Crockford {
			if r == s {
				t.Errorf("%c is in the alphabet", r)
			}
		}
	}
}
