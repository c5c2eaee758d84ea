package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
)

// Few backup codes are few enough to say so (requirement E2).
const fewCodes = 3

// codesPage is the data of codes.html (S21).
type codesPage struct {
	Codes        []string // shown while they can be; empty: only how many are left
	Joined       string   // for copying
	Name, Login  string
	Left         int
	Made         Part
	Used         Part // zero: none was
	MayMake      bool
	NotTicked    bool
	New, Renewed bool
}

// codesOf are the person's backup codes, or nil.
func codesOf(factors []authn.Factor) *authn.Factor {
	for i := range factors {
		if factors[i].Kind == authn.BackupCode && factors[i].State == authn.Confirmed {
			return &factors[i]
		}
	}
	return nil
}

// mayMakeCodes reports whether there is something that backup codes could stand
// in for: a way that the person holds.
func (h *Handler) mayMakeCodes(ru rules) bool {
	return h.offers(authn.BackupCode) && slices.ContainsFunc(ru.second, func(f authn.Factor) bool {
		return policy.OwnPossession.Meets(h.shows(f.Kind))
	})
}

func (h *Handler) getCodes(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.drawCodes(w, r, http.StatusOK, cur, false)
}

func (h *Handler) drawCodes(w http.ResponseWriter, r *http.Request, status int, cur session.Current, notTicked bool) error {
	v := h.personal(r, cur)
	ru, err := h.rulesOf(cur)
	if err != nil {
		return err
	}
	p := codesPage{Name: cur.User.Name, Login: cur.User.Login, MayMake: h.mayMakeCodes(ru), NotTicked: notTicked}
	f, codes, err := h.c.Enroll.ShownCodes(r.Context(), who(r, cur))
	switch {
	case err == nil:
		p.Codes, p.Joined, p.Made = codes, strings.Join(codes, "\n"), v.Day(f.ConfirmAt)
		v.Title = v.T("page.codes.title")
	case authn.AsError(err).Code != authn.NotFound:
		return err
	default:
		have := codesOf(cur.Factors)
		if have == nil {
			// None, or they ended with the last way: what can be done is on Security.
			seeOther(w, securityPath)
			return nil
		}
		p.Left, p.Made = have.Left, v.Day(have.ConfirmAt)
		if !have.LastUsedAt.IsZero() {
			p.Used = v.Ago(have.LastUsedAt)
		}
		status, v.Title = http.StatusOK, v.T("page.codes.count_title")
	}
	v.Section, v.Data, v.Failed = "security", p, notTicked && len(p.Codes) > 0
	return h.draw(w, status, "codes.html", v)
}

// postCodes is Done: the codes are saved, and are never shown again.
func (h *Handler) postCodes(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if r.PostForm.Get("saved") != "yes" {
		return h.drawCodes(w, r, http.StatusUnprocessableEntity, cur, true)
	}
	if err := h.c.Enroll.CodesSaved(r.Context(), who(r, cur)); err != nil {
		return err
	}
	return h.finish(w, securityPath, "codes_saved")
}

// getCodesFile is the list as a file. It is made here rather than in the
// browser, so that it works without JavaScript and under our policy.
func (h *Handler) getCodesFile(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	f, codes, err := h.c.Enroll.ShownCodes(r.Context(), who(r, cur))
	if authn.AsError(err).Code == authn.NotFound {
		return h.finishGet(w, r, codesPath)
	}
	if err != nil {
		return err
	}
	return h.personal(r, cur).codesFile(w, r, cur.Company, cur.User, codes, f.ConfirmAt)
}

// codesFile answers with backup codes as a text file to keep. Names are of
// people: no line of theirs becomes one of ours (cve-65).
func (v *View) codesFile(w http.ResponseWriter, r *http.Request, c authn.Company, u authn.User, codes []string, made time.Time) error {
	var b strings.Builder
	line := func(s string) { b.WriteString(s + "\r\n") }
	line(v.T("page.codes.file_title", "Company", oneLine(c.Name)))
	line(v.T("page.codes.file_account", "Name", oneLine(u.Login)))
	line(v.T("page.codes.file_made", "Day", v.Day(made).Text))
	line("")
	for i, code := range codes {
		line(fmt.Sprintf("%2d. %s", i+1, code))
	}
	line("")
	line(v.T("page.codes.file_use"))
	line(v.T("page.codes.once"))
	return attach(w, r, "text/plain; charset=utf-8", fileName(c.Slug, "backup-codes", u.Login)+".txt", b.String())
}

// finishGet leads a download that is not there any more to its page.
func (h *Handler) finishGet(w http.ResponseWriter, _ *http.Request, address string) error {
	return h.finish(w, address, "codes_over")
}

// attach answers a file to be saved.
func attach(w http.ResponseWriter, r *http.Request, kind, name, body string) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(body)) // fails only if the client has gone
	}
	return nil
}

// oneLine is a name as part of a line of text.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, s)
}

// fileName joins words into the name of a file: a–z, 0–9 and hyphens.
func fileName(words ...string) string {
	var out []string
	for _, word := range words {
		word, _, _ = strings.Cut(strings.ToLower(word), "@")
		word = strings.Join(strings.FieldsFunc(word, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9') }), "-")
		if word != "" {
			out = append(out, word[:min(len(word), 40)])
		}
	}
	return strings.Join(out, "-")
}

// newCodesPage is the data of newcodes.html.
type newCodesPage struct {
	Left int
	Made Part // zero: there are none yet
}

func (h *Handler) getNewCodes(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	ru, err := h.rulesOf(cur)
	if err != nil {
		return err
	}
	if !h.mayMakeCodes(ru) {
		seeOther(w, securityPath)
		return nil
	}
	if err := h.c.Enroll.Ready(r.Context(), who(r, cur)); authn.AsError(err).Code == authn.StepUpRequired {
		return h.askConfirm(w, "codes", "")
	} else if err != nil {
		return err
	}
	v := h.personal(r, cur)
	var p newCodesPage
	if f := codesOf(cur.Factors); f != nil {
		p.Left, p.Made = f.Left, v.Day(f.ConfirmAt)
	}
	v.Section, v.Title, v.Data = "security", v.T("page.newcodes.title"), p
	return h.draw(w, http.StatusOK, "newcodes.html", v)
}

func (h *Handler) postNewCodes(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	changed, err := h.c.Enroll.NewCodes(r.Context(), who(r, cur))
	switch e := authn.AsError(err); {
	case err == nil:
	case e.Code == authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "codes", "")
	default:
		return err
	}
	httpserve.Subject(r.Context(), changed.Factor.ID)
	h.changed(w, r, changed)
	return h.finish(w, codesPath, "codes_made")
}

// shownFor is how long new codes can be shown again; the store keeps them so long.
const shownFor = 10 * time.Minute

// unsaved reports whether the codes can still be shown to this sign-in.
func (h *Handler) unsaved(r *http.Request, cur session.Current, f *authn.Factor) bool {
	if f == nil || f.Attempt != cur.Session.Attempt || !h.c.Now().Before(f.ConfirmAt.Add(shownFor)) {
		return false
	}
	_, _, err := h.c.Enroll.ShownCodes(r.Context(), who(r, cur))
	return err == nil
}
