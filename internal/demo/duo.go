package demo

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/duoserver"
	"github.com/sallyport-mfa/sallyport/method/code"
	"github.com/sallyport-mfa/sallyport/method/duo"
)

// duoPath is where the pretend Duo has its pages. Its API has an address below,
// too, which only the demo's own client knows how to reach.
const duoPath = "/dev/duo"

// keptDuo is what the pretend Duo knows after a restart.
type keptDuo struct {
	IKey   string           `json:"ikey"`
	SKey   string           `json:"skey"`
	Host   string           `json:"host"`
	People []duoserver.User `json:"people"` // without their passcodes
}

// newDuo has random keys, and the people of the seed.
func newDuo() keptDuo {
	var host [4]byte
	rand.Read(host[:]) // never fails (crypto/rand)
	k := keptDuo{IKey: "DI" + rand.Text()[:18], SKey: (rand.Text() + rand.Text())[:40], Host: "api-" + hex.EncodeToString(host[:]) + ".duosecurity.com"}
	for _, p := range people {
		if p.way == authn.Duo {
			k.People = append(k.People, duoserver.User{Username: p.login, Verified: p.verifies, Devices: []duoserver.Device{p.duoDevice()}})
		}
	}
	return k
}

// duoDevice is the person's phone, masked as Duo does.
func (p person) duoDevice() duoserver.Device {
	d := duoserver.Phone("DP" + strings.ToUpper(p.login))
	d.Number = "XXX-XXX-XX" + p.number[len(p.number)-2:]
	d.DisplayName = p.phone + " (" + d.Number + ")"
	return d
}

// openDuo starts the pretend Duo. It listens nowhere: duoClient calls it.
func (d *Demo) openDuo(seen *secrets) error {
	if seen.kept.Duo.IKey == "" {
		seen.kept.Duo = newDuo()
		if err := seen.save(); err != nil {
			return err
		}
	}
	k := seen.kept.Duo
	d.duo = duoserver.New(duoserver.Config{IKey: k.IKey, SKey: k.SKey, Host: k.Host, Portal: d.URL() + duoPath + "/portal?code=", Lives: time.Minute, Passcodes: 3})
	for _, u := range k.People {
		d.duo.AddUser(u)
	}
	return nil
}

// duoMethod is the method of Duo, which reaches the pretend one whatever host a
// company names.
func (d *Demo) duoMethod(now func() time.Time) (*duo.Method, error) {
	return duo.New(duo.Config{HTTP: &http.Client{Transport: inProcess{d.duo, duoPath}}, Now: now,
		Base: func(string) string { return d.URL() + duoPath }})
}

// methods are those of the configuration, with text messages and the pretend Duo.
func (d *Demo) methods(m *duo.Method) []authn.Method {
	all := slices.DeleteFunc(slices.Clone(d.c.Methods), func(m authn.Method) bool { return m.Kind() == authn.SMS || m.Kind() == authn.Duo })
	return append(all, code.NewSMS(true), m)
}

// finishDuo is the end of set-up in Duo's own pages.
func (d *Demo) finishDuo(username string) error {
	d.duo.Activate(username)
	s := d.store.seen
	s.mu.Lock()
	s.kept.Duo.People = d.duo.Users()
	for i := range s.kept.Duo.People {
		s.kept.Duo.People[i].Passcodes = nil
	}
	s.mu.Unlock()
	return s.save()
}

// duoUser is a person as Duo knows them; nil: it does not.
func (d *Demo) duoUser(login string) *duoserver.User {
	for _, u := range d.duo.Users() {
		if strings.EqualFold(u.Username, login) && len(u.Devices) > 0 {
			return &u
		}
	}
	return nil
}

// inProcess carries requests to a handler of this process, below a path: there is
// no port that another program could ask.
type inProcess struct {
	to     http.Handler
	prefix string
}

// RoundTrip calls the handler.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.URL.Path = strings.TrimPrefix(r.URL.Path, t.prefix)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	out := &answer{header: http.Header{}}
	t.to.ServeHTTP(out, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	status := cmp.Or(out.status, http.StatusOK)
	return &http.Response{Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: out.header,
		Body: io.NopCloser(&out.body), ContentLength: int64(out.body.Len()), Request: r}, nil
}

// answer is what a handler wrote.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the answer's.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader keeps the first status.
func (a *answer) WriteHeader(status int) { a.status = cmp.Or(a.status, status) }

// Write keeps the body.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}
