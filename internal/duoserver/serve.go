package duoserver

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// who finds the person of a request; nil for a name that nobody has.
func (s *Server) who(form url.Values) (u *User, name string, fail *duoFail) {
	id, name := form.Get("user_id"), form.Get("username")
	if (id == "") == (name == "") {
		return nil, "", &duoFail{40002, "Invalid request parameters", "user_id or username"}
	}
	if a := form.Get("ipaddr"); a != "" {
		if _, err := netip.ParseAddr(a); err != nil {
			return nil, "", &duoFail{40002, "Invalid request parameters", "ipaddr"}
		}
	}
	if name != "" {
		return s.users[strings.ToLower(name)], name, nil
	}
	for _, u := range s.users {
		if u.UserID == id {
			return u, u.Username, nil
		}
	}
	return nil, "", &duoFail{40002, "Invalid request parameters", "user_id"}
}

func (s *Server) preauth(_ *http.Request, form url.Values) (any, *duoFail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, name, fail := s.who(form)
	if fail != nil {
		return nil, fail
	}
	if u == nil {
		u = &User{Username: name, Result: s.c.Strangers}
	}
	usual := map[string]string{"auth": "Account is active", "allow": "You are allowed to log in.",
		"deny": "Your account is disabled and cannot access this application.", "enroll": "Enroll an authentication device to proceed"}
	a := map[string]any{"result": u.Result, "status_msg": usual[u.Result]}
	if u.Message != "" {
		a["status_msg"] = u.Message
	}
	switch u.Result {
	case "enroll":
		if s.c.NoPortal {
			break
		}
		code := rand.Text()
		if len(s.portals) >= maxAsks {
			clear(s.portals)
		}
		s.portals[code] = u.Username
		a["enroll_portal_url"] = s.c.Portal + code
	case "auth":
		devices := []map[string]any{}
		for _, d := range u.Devices {
			one := map[string]any{"device": d.ID, "type": d.Type, "name": d.Name, "display_name": d.DisplayName}
			if d.Type != "token" {
				one["number"], one["capabilities"] = d.Number, d.Capabilities
			}
			devices = append(devices, one)
		}
		a["devices"] = devices
		if u.Verified && form.Get("client_supports_verified_push") == "1" {
			ask := s.newAsk(Push{Username: u.Username, Number: randomDigits(3)})
			ask.verify = true
			a["txid"], a["verification_code"] = ask.TxID, ask.Number
		}
	}
	return a, nil
}

func randomDigits(n int) string {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	s := fmt.Sprintf("%020d", binary.BigEndian.Uint64(b[:]))
	return s[len(s)-n:]
}

// duoTakes are the parameters of auth that belong to one factor only.
var duoTakes = map[string][]string{
	"push":     {"device", "type", "display_username", "pushinfo", "txid"},
	"phone":    {"device"},
	"sms":      {"device"},
	"auto":     {"device", "type", "display_username", "pushinfo", "txid"},
	"passcode": {"passcode"},
}

func (s *Server) auth(_ *http.Request, form url.Values) (any, *duoFail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, _, fail := s.who(form)
	if fail != nil {
		return nil, fail
	}
	factor := form.Get("factor")
	takes, ok := duoTakes[factor]
	if !ok || u == nil {
		return nil, &duoFail{40002, "Invalid request parameters", "factor or username"}
	}
	for _, name := range []string{"device", "passcode", "type", "display_username", "pushinfo", "txid"} {
		if form.Has(name) && !slices.Contains(takes, name) {
			return nil, &duoFail{40002, "Invalid request parameters", name}
		}
	}
	p := Push{Username: u.Username, Factor: factor, Address: form.Get("ipaddr"), Type: form.Get("type"), Display: form.Get("display_username")}
	if factor != "passcode" {
		if fail := u.device(form.Get("device"), &p); fail != nil {
			return nil, fail
		}
	}
	info, err := url.ParseQuery(form.Get("pushinfo"))
	if err != nil || len(form.Get("pushinfo")) >= 20_000 {
		return nil, &duoFail{40002, "Invalid request parameters", "pushinfo"}
	}
	p.Info = info
	ask := s.asks[form.Get("txid")]
	if form.Has("txid") && (ask == nil || !ask.verify || ask.Username != u.Username) {
		return nil, &duoFail{40002, "Invalid request parameters", "txid"}
	}
	if ask == nil {
		ask = s.newAsk(p)
	} else {
		p.TxID, p.Number, p.At = ask.TxID, ask.Number, s.now()
		ask.Push, ask.verify = p, false
	}
	s.begin(u, ask, form.Get("passcode"))
	switch {
	case form.Get("async") == "1":
		return map[string]any{"txid": ask.TxID}, nil
	case ask.Result == "waiting": // a synchronous push would hold the request for a minute
		return nil, &duoFail{40002, "Invalid request parameters", "async"}
	}
	return ask.answer(), nil
}

// device finds the device of a request, and what "auto" means.
func (u *User) device(id string, p *Push) *duoFail {
	for _, d := range u.Devices {
		able := slices.Contains(d.Capabilities, p.Factor)
		if p.Factor == "auto" && slices.Contains(d.Capabilities, "push") {
			p.Factor, able = "push", true
		}
		if able && (id == "auto" || id == d.ID) {
			p.Device = d.ID
			return nil
		}
	}
	return &duoFail{40002, "Invalid request parameters", "no capable device"}
}

// begin is what happens at once.
func (s *Server) begin(u *User, a *duoAsk, passcode string) {
	a.Result = "waiting"
	switch {
	case u.Auth == "bypass":
		a.Result, a.Status, a.message = "allow", "bypass", "Your account is in bypass mode."
	case u.Auth != "":
		a.Result, a.Status, a.message = "deny", u.Auth, "Your account is disabled."
	case a.Factor == "push":
		a.Status, a.message = "pushed", "Pushed a login request to your device..."
	case a.Factor == "phone":
		a.Status, a.message = "calling", "Dialing XXX-XXX-1242..."
	case a.Factor == "sms":
		var batch []string
		for range 3 {
			batch = append(batch, randomDigits(7))
		}
		u.Passcodes = append(u.Passcodes, batch...)
		if s.texts = append(s.texts, Text{u.Username, a.Device, batch}); len(s.texts) > maxAsks {
			s.texts = s.texts[1:]
		}
		a.Result, a.Status, a.message = "deny", "sent", "New SMS passcodes sent."
	case slices.Contains(u.Passcodes, passcode):
		u.Passcodes = slices.DeleteFunc(u.Passcodes, func(c string) bool { return c == passcode })
		s.restock(u)
		a.Result, a.Status, a.message = "allow", "allow", "Success. Logging you in..."
	default:
		a.Result, a.Status, a.message = "deny", "deny", "Incorrect passcode. Please try again."
	}
}

func (a *duoAsk) answer() map[string]any {
	return map[string]any{"result": a.Result, "status": a.Status, "status_msg": a.message}
}

// authStatus waits for news since it was asked last.
func (s *Server) authStatus(r *http.Request, form url.Values) (any, *duoFail) {
	limit := time.NewTimer(s.c.Poll)
	defer limit.Stop()
	for over := false; ; {
		s.mu.Lock()
		a := s.asks[form.Get("txid")]
		if a == nil || a.verify {
			s.mu.Unlock()
			return nil, &duoFail{40002, "Invalid request parameters", "txid"}
		}
		s.expire(a)
		if a.version > a.told || a.Result != "waiting" || over {
			a.told = a.version
			answer := a.answer()
			s.mu.Unlock()
			return answer, nil
		}
		news := a.news
		s.mu.Unlock()
		select {
		case <-news:
		case <-limit.C:
			over = true
		case <-r.Context().Done():
			over = true
		}
	}
}

func (s *Server) enroll(_ *http.Request, form url.Values) (any, *duoFail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	valid, ok := validSeconds(form)
	if !ok {
		return nil, &duoFail{40002, "Invalid request parameters", "valid_secs"}
	}
	name := form.Get("username")
	if name == "" {
		name = strings.ToLower(rand.Text())
	}
	if s.users[strings.ToLower(name)] != nil {
		return nil, &duoFail{40002, "Invalid request parameters", "username already exists"}
	}
	u := s.addUser(User{Username: name, Result: "enroll"})
	code := rand.Text()
	if len(s.enrols) >= maxAsks {
		clear(s.enrols)
	}
	s.enrols["duo://"+code] = duoEnrol{name, s.now().Add(valid)}
	return map[string]any{"activation_barcode": "https://" + s.c.Host + "/frame/qr?value=" + code, "activation_code": "duo://" + code,
		"expiration": s.now().Add(valid).Unix(), "user_id": u.UserID, "username": name}, nil
}

func (s *Server) enrollStatus(_ *http.Request, form url.Values) (any, *duoFail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.enrols[form.Get("activation_code")]
	u := s.users[strings.ToLower(e.username)]
	switch {
	case !ok || u == nil || u.UserID != form.Get("user_id"):
		return "invalid", nil
	case u.Result != "enroll":
		return "success", nil
	case !e.until.After(s.now()):
		return "invalid", nil
	}
	return "waiting", nil
}
