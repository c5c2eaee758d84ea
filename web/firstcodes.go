package web

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// firstCodesPage is the data of firstcodes.html (S21, in a sign-in): the backup
// codes that come with the first way of one's own.
type firstCodesPage struct {
	attemptPage
	Codes   []string
	Joined  string // for copying
	File    string // address of the text file
	Problem string
}

// openFirstCodes finds the codes of an attempt while they can be shown. Where
// there are none, it leads on and ok is false.
func (h *Handler) openFirstCodes(w http.ResponseWriter, r *http.Request) (s step, f authn.Factor, codes []string, ok bool, err error) {
	s, company, err := h.openAttempt(r)
	if err != nil {
		return s, f, nil, false, h.attemptGone(w, r, s, company, signInPage{}, err)
	}
	if s.Need.State != authn.Complete {
		f, codes, err = h.c.Enroll.ShownCodes(r.Context(), s.who())
	}
	if authn.AsError(err).Code == authn.NotFound && err != nil || err == nil && len(codes) == 0 {
		seeOther(w, s.path)
		return s, f, nil, false, nil
	}
	return s, f, codes, err == nil, err
}

func (h *Handler) getFirstCodes(w http.ResponseWriter, r *http.Request) error {
	s, _, codes, ok, err := h.openFirstCodes(w, r)
	if !ok {
		return err
	}
	return h.drawFirstCodes(w, http.StatusOK, h.attemptView(w, r, s), s, codes, "")
}

func (h *Handler) drawFirstCodes(w http.ResponseWriter, status int, v *View, s step, codes []string, problem string) error {
	v.Shape, v.Title, v.Failed = Sheet, v.T("page.codes.title"), problem != ""
	v.Data = firstCodesPage{attemptPage: s.page(), Codes: codes, Joined: strings.Join(codes, "\n"), File: s.path + "/codes.txt", Problem: problem}
	return h.draw(w, status, "firstcodes.html", v)
}

// getFirstCodesFile is the same as a text file.
func (h *Handler) getFirstCodesFile(w http.ResponseWriter, r *http.Request) error {
	s, f, codes, ok, err := h.openFirstCodes(w, r)
	if !ok {
		return err
	}
	v := h.attemptView(w, r, s)
	writeCodesFile(w, v, s.Company, s.User, codes, f.ConfirmAt)
	return nil
}

// writeCodesFile answers with backup codes as a text file to keep.
func writeCodesFile(w http.ResponseWriter, v *View, c authn.Company, u authn.User, codes []string, made time.Time) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\r\n\r\n", v.T("page.codes.file_title", "Company", c.Name))
	fmt.Fprintf(&b, "%s\r\n%s\r\n\r\n", v.T("page.codes.file_account", "Login", u.Login), v.T("page.codes.file_made", "Day", v.Day(made).Text))
	for i, code := range codes {
		fmt.Fprintf(&b, "%2d. %s\r\n", i+1, code)
	}
	fmt.Fprintf(&b, "\r\n%s\r\n", v.T("page.codes.file_use"))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": c.Slug + "-backup-codes-" + plainName(u.Login) + ".txt"}))
	_, _ = w.Write([]byte(b.String())) // fails only if the client has gone
}

// plainName is a login as part of a file's name: small letters, digits, and
// hyphens for the rest.
func plainName(login string) string {
	login, _, _ = strings.Cut(login, "@")
	out := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(login))
	return strings.Trim(out[:min(len(out), 40)], "-")
}

// postFirstCodes goes on once the person says that the codes are saved.
func (h *Handler) postFirstCodes(w http.ResponseWriter, r *http.Request, s step, form url.Values) error {
	_, codes, err := h.c.Enroll.ShownCodes(r.Context(), s.who())
	if err == nil && form.Get("saved") == "" {
		v := h.attemptView(w, r, s)
		return h.drawFirstCodes(w, http.StatusUnprocessableEntity, v, s, codes, v.T("page.codes.tick"))
	}
	st, err := h.c.SignIn.Complete(r.Context(), s.opener)
	if err != nil {
		return h.finished(w, r, s, st, err)
	}
	// They are forgotten in ten minutes if this fails.
	if err := h.c.Enroll.CodesSaved(r.Context(), enroll.Who{Token: st.SessionToken, Client: httpserve.ClientOf(r)}); err != nil {
		httpserve.Record(r, err)
	}
	return h.completed(w, r, st)
}
