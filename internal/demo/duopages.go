package demo

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/duoserver"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/web"
)

// pushItem is what tests read of a request to a person's phone.
type pushItem struct {
	ID      string    `json:"id"`
	Login   string    `json:"login"` // the name at Duo
	Way     string    `json:"way"`   // "push", "phone", "sms" or "passcode"
	Waiting bool      `json:"waiting"`
	Number  string    `json:"number"` // to be typed at a verified push; empty: none
	At      time.Time `json:"at"`
}

// duoPerson is what tests read of a person at Duo.
type duoPerson struct {
	Login     string   `json:"login"`
	Passcodes []string `json:"passcodes"` // that are unused
}

// duoJSON lists the requests, oldest first, and the people.
func (d *Demo) duoJSON(w http.ResponseWriter, _ *http.Request) error {
	items, known := []pushItem{}, []duoPerson{}
	for _, p := range d.duo.Pushes() {
		items = append(items, pushItem{p.TxID, p.Username, p.Factor, p.Result == "waiting", p.Number, p.At.UTC().Truncate(time.Second)})
	}
	for _, u := range d.duo.Users() {
		known = append(known, duoPerson{u.Username, append([]string{}, u.Passcodes...)})
	}
	return httpserve.WriteJSON(w, http.StatusOK, map[string]any{"items": items, "people": known})
}

// answerDuoJSON is somebody's finger on the phone.
func (d *Demo) answerDuoJSON(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		ID     string `json:"id"`
		Answer string `json:"answer"`
		Number string `json:"number,omitempty"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	if err := d.answerDuo(in.ID, in.Answer, in.Number); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// answerDuo gives a person's answer to a request. A verified push is approved with
// the number that the sign-in page shows; a wrong one is a denial, as with Duo.
func (d *Demo) answerDuo(id, answer, number string) error {
	i := slices.IndexFunc(d.duo.Pushes(), func(p duoserver.Push) bool { return p.TxID == id })
	if i < 0 {
		return authn.NotFound
	}
	var err error
	switch number = strings.TrimSpace(number); {
	case answer == "approve" && d.duo.Pushes()[i].Number == "":
		err = d.duo.Approve(id)
	case answer == "approve" && number == "":
		return authn.InvalidField("number", "required", nil)
	case answer == "approve":
		err = d.duo.Enter(id, number)
	case answer == "deny":
		err = d.duo.Deny(id)
	case answer == "fraud":
		err = d.duo.Fraud(id)
	case answer == "timeout":
		err = d.duo.TimeOut(id)
	default:
		return authn.InvalidField("answer", "not_one_of", nil)
	}
	if errors.Is(err, duoserver.ErrOver) {
		return authn.Conflict
	}
	return err
}

// pushView is a request on the page.
type pushView struct {
	ID, Login, Name, Device string
	Title                   string // what the phone would say
	Result                  string
	Waiting, Number, Failed bool // Number: one has to be typed; Failed: it was not
	Info                    []infoView
	At                      time.Time
}

type infoView struct{ Name, Value string }

// duoPersonView is a person at Duo on the page.
type duoPersonView struct {
	Login, Name, Devices string
	Passcodes            []string
}

func (p *pages) getDuo(w http.ResponseWriter, r *http.Request) error {
	return p.drawDuo(w, r, http.StatusOK, "", "")
}

// drawDuo draws the page; failed is the request whose number is missing.
func (p *pages) drawDuo(w http.ResponseWriter, r *http.Request, status int, problem, failed string) error {
	all, err := p.accounts(r.Context())
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, a := range all {
		names[a.login] = a.name
	}
	users := p.duo.Users()
	var waiting, over []pushView
	newest := ""
	for _, push := range p.duo.Pushes() {
		newest = push.TxID
		v := pushViewOf(push, users)
		v.Name, v.Failed = names[strings.ToLower(push.Username)], push.TxID == failed
		if v.Waiting {
			waiting = append(waiting, v)
		} else {
			over = append(over, v)
		}
	}
	slices.Reverse(waiting)
	slices.Reverse(over)
	over = over[:min(len(over), onPage)]
	var list []duoPersonView
	for _, u := range users {
		v := duoPersonView{Login: u.Username, Name: names[strings.ToLower(u.Username)], Passcodes: u.Passcodes}
		var devices []string
		for _, d := range u.Devices {
			devices = append(devices, d.DisplayName)
		}
		v.Devices = strings.Join(devices, ", ")
		list = append(list, v)
	}
	title := "Pretend Duo"
	if problem != "" {
		title = "Error: " + title
	}
	return p.layout.Render(w, r, status, p.duoPage, web.Sheet, title, map[string]any{"Waiting": waiting, "Over": over, "People": list, "Newest": newest, "Problem": problem})
}

// results are the words for how a request ended, by Duo's status.
var results = map[string]string{"allow": "Approved", "deny": "Denied", "fraud": "Reported as fraud", "timeout": "Nobody answered", "sent": "Passcodes sent",
	"locked_out": "Locked out", "bypass": "Let in"}

func pushViewOf(p duoserver.Push, users []duoserver.User) pushView {
	v := pushView{ID: p.TxID, Login: p.Username, Waiting: p.Result == "waiting", Number: p.Number != "", At: p.At, Result: cmp.Or(results[p.Status], p.Status)}
	switch p.Factor {
	case "push":
		v.Title = cmp.Or(p.Type, "Login") + " request"
	case "phone":
		v.Title = "Phone call: press any key to sign in"
	case "sms":
		v.Title = "Passcodes by text message"
	default:
		v.Title = "Passcode"
	}
	for _, u := range users {
		for _, d := range u.Devices {
			if u.Username == p.Username && d.ID == p.Device {
				v.Device = d.DisplayName
			}
		}
	}
	for _, name := range []string{"Company", "Browser", "Address"} {
		if value := p.Info.Get(name); value != "" {
			v.Info = append(v.Info, infoView{name, value})
		}
	}
	if p.Info.Get("Address") == "" && p.Address != "" {
		v.Info = append(v.Info, infoView{"Address", p.Address})
	}
	return v
}

func (p *pages) postDuo(w http.ResponseWriter, r *http.Request) error {
	form, err := httpserve.Form(r)
	if err != nil {
		return err
	}
	id := form.Get("id")
	err = p.answerDuo(id, form.Get("answer"), form.Get("number"))
	switch e := authn.AsError(err); {
	case err == nil:
		w.Header().Set("Location", duoPath)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	case e.Code == authn.Conflict, e.Code == authn.NotFound:
		return p.drawDuo(w, r, http.StatusConflict, "This request is over; it was answered, or its time ran out.", "")
	case e.Code == authn.Invalid && form.Get("answer") == "approve":
		return p.drawDuo(w, r, http.StatusUnprocessableEntity, "Type the number that the sign-in page shows.", id)
	}
	return err
}

// getPortal is Duo's own set-up, for whom a link of preauth leads there.
func (p *pages) getPortal(w http.ResponseWriter, r *http.Request) error {
	return p.drawPortal(w, r, r.URL.Query().Get("code"))
}

func (p *pages) drawPortal(w http.ResponseWriter, r *http.Request, code string) error {
	name, ok := p.duo.PortalUser(code)
	if !ok {
		return authn.NotFound
	}
	return p.layout.Render(w, r, http.StatusOK, p.portal, web.Sheet, "Set-up at Duo",
		map[string]any{"Login": name, "Code": code, "Done": p.duoUser(name) != nil, "Company": p.company})
}

func (p *pages) postPortal(w http.ResponseWriter, r *http.Request) error {
	form, err := httpserve.Form(r)
	if err != nil {
		return err
	}
	name, ok := p.duo.PortalUser(form.Get("code"))
	if !ok {
		return authn.NotFound
	}
	if err := p.finishDuo(name); err != nil {
		return err
	}
	w.Header().Set("Location", duoPath+"/portal?code="+url.QueryEscape(form.Get("code")))
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
