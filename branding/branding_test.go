package branding_test

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/branding"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func logo(t testing.TB, grey byte) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 40, 20))
	for i := range m.Pix {
		m.Pix[i] = grey
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Two who save at once: one of them is told. Nothing is half saved, and there is
// one event for each version.
func TestSave_atOnce(t *testing.T) {
	s := sallyporttest.NewServer(t)
	op := s.Branding.Operator()
	var saved atomic.Int64
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			_, err := op.Save(t.Context(), s.Company.ID, branding.Change{Brand: authn.Brand{Accent: "#00000" + string(rune('0'+i))},
				Pictures: map[string]branding.Picture{branding.Light: {Bytes: logo(t, byte(i))}}})
			switch {
			case err == nil:
				saved.Add(1)
			case !errors.Is(err, authn.Conflict) && !errors.Is(err, authn.Busy):
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	st, err := op.Brand(t.Context(), s.Company.ID)
	if err != nil || st.Version != saved.Load() || st.Version < 1 {
		t.Fatalf("%d saved, %+v, %v", saved.Load(), st, err)
	}
	list, err := s.Store.Events(t.Context(), s.Company.ID, authn.EventQuery{Type: "branding.changed"})
	if err != nil || int64(len(list)) != st.Version || list[0].Actor != directory.Operator {
		t.Errorf("%d events of %d versions, %v", len(list), st.Version, err)
	}
	if b, err := s.Branding.Logo(t.Context(), "acme", st.Brand.Logo.Hash); err != nil || len(b) == 0 {
		t.Errorf("the logo of the last version is not there: %v", err)
	}
}

// What is wrong is said all at once, and then nothing is saved.
func TestSave_sayEverything(t *testing.T) {
	s := sallyporttest.NewServer(t)
	op := s.Branding.Operator()
	_, err := op.Save(t.Context(), s.Company.ID, branding.Change{Support: "\x00", Brand: authn.Brand{Accent: "red", HelpText: strings.Repeat("x", 301), HelpLink: "ftp://x",
		PrivacyLink: "https://", TermsLink: "https://u:p@x.example", MailName: "<x>", SMSName: "日本", Logo: authn.Logo{Hash: "made up"}},
		Pictures: map[string]branding.Picture{branding.Light: {Bytes: []byte("x")}, branding.Dark: {Draft: "gone"}}})
	var e *authn.Error
	if !errors.As(err, &e) || len(e.Fields) != 10 {
		t.Fatalf("%+v", err)
	}
	if _, err := op.Save(t.Context(), s.Company.ID, branding.Change{From: 3}); !errors.Is(err, authn.Conflict) {
		t.Errorf("a version that never was: %v", err)
	}
	if _, err := op.Brand(t.Context(), "cmp_06gvqojiq1qe7alb8eh5a55tok"); !errors.Is(err, authn.NotFound) {
		t.Errorf("no company: %v", err)
	}
	// A hash cannot be brought along, and what changes nothing is no version.
	st, err := op.Save(t.Context(), s.Company.ID, branding.Change{Brand: authn.Brand{Logo: authn.Logo{Hash: "made up"}, HelpText: " \t "}})
	if err != nil || st.Version != 0 || st.Brand != (authn.Brand{}) {
		t.Errorf("%+v, %v", st, err)
	}
	if st, err = op.SetLogo(t.Context(), s.Company.ID, branding.Dark, branding.Picture{Bytes: logo(t, 1)}); err != nil || st.Brand.LogoDark.Width != 40 || st.Version != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	if st, err = op.SetLogo(t.Context(), s.Company.ID, branding.Dark, branding.Picture{Bytes: logo(t, 1)}); err != nil || st.Version != 1 {
		t.Errorf("the same picture: %+v, %v", st, err)
	}
}
