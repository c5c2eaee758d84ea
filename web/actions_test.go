package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// withAction is a server whose host program has an action of its own.
func withAction(t *testing.T) *sallyporttest.Server {
	return newServer(t, func(c *sallyport.Config) {
		c.Actions = []authn.Action{{Name: "billing.change", Title: "change the billing details", Titles: map[string]string{"pl": "zmienić dane rozliczeniowe"}, Audience: "https://app.example.com"}}
	})
}

// rul-28: what people are asked to confirm, in every language, without JavaScript.
func TestActionPage_rul28(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := withAction(t)
			priya := owner(t, s, s.Company, "priya")
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(priya)
			s.Clock.Advance(30 * time.Second)

			const page = "/admin/actions"
			b.get(page).want(200, page)
			if len(b.doc.all("main a[href^=/admin/actions?action=b]")) != 0 {
				t.Error("what the program brings can be changed")
			}
			if asks := b.doc.one(t, "#action-billing-change li[lang=pl]"); asks.words() != "Potwierdź, że to Ty, aby zmienić dane rozliczeniowe." {
				t.Errorf("%q", asks.words())
			}
			b.get(page+"?action=").want(200, page).submit("main form", "name", "Pay!", "title", "", "title_pl", strings.Repeat("ż", 81), "audience", "a b", "do", "save").want(422, page)
			for _, field := range []string{"name", "title", "title_pl", "audience"} {
				if b.doc.one(t, "#"+field).attrs["aria-invalid"] != "true" || b.doc.one(t, "#"+field+"-err").words() == "" {
					t.Errorf("%s is not marked", field)
				}
			}
			for field, want := range map[string]string{"title_pl": strings.Repeat("ż", 81), "name": "Pay!", "audience": "a b"} {
				if got := b.doc.one(t, "#"+field).attrs["value"]; got != want {
					t.Errorf("%s: %q is not there any more", field, got)
				}
			}
			b.get(page+"?action=").submit("main form", "name", "invoice.pay", "title", "pay an invoice of <b>Ünal & Söhne</b>", "title_pl", "zapłacić fakturę",
				"audience", "https://shop.example.com", "reason", "the new shop", "do", "save").want(200, page)
			b.doc.one(t, "#notice")
			for _, want := range []string{"pay an invoice of <b>Ünal & Söhne</b>", "zapłacić fakturę", "https://shop.example.com"} {
				b.shows("#action-invoice-pay", want)
			}
			b.get(page+"?action=").submit("main form", "name", "invoice.pay", "title", "x", "do", "save").want(422, page)
			b.doc.one(t, "#name-err") // it does not take the place of the other

			b.get(page+"?action=invoice.pay").want(200, page).submit("main form", "title_pl", "", "do", "save").want(200, page)
			if asks := b.doc.one(t, "#action-invoice-pay li[lang=pl]").words(); !strings.Contains(asks, "pay an invoice") {
				t.Errorf("%q does not say what is read there", asks)
			}
			b.get(page+"?action=invoice.pay").submit("main form", "title", strings.Repeat("x", 81), "do", "save").want(422, page)
			b.doc.one(t, "#title-err")
			b.get(page+"?action=invoice.pay").submit("main form", "reason", strings.Repeat("x", 501), "do", "remove").want(422, page)
			b.doc.one(t, "#reason-err")
			b.get(page+"?action=invoice.pay").submit("main form", "reason", "not used", "do", "remove").want(200, page)
			if len(b.doc.all("#action-invoice-pay")) != 0 {
				t.Error("it is still there")
			}
		})
	}
}

// Nothing that somebody else does meanwhile is undone, and the server's own and the
// program's stay as they are.
func TestActionPageMeanwhile_rul28(t *testing.T) {
	s := withAction(t)
	priya := owner(t, s, s.Company, "priya")
	b := newBrowser(t, s).signIn(priya)
	op := directory.TheOperator(s.Company.ID)
	save := func(title string) {
		t.Helper()
		if _, err := s.Directory.SaveAction(t.Context(), op, directory.ActionChange{Action: authn.Action{Name: "invoice.pay", Title: title}}); err != nil {
			t.Fatal(err)
		}
	}
	const page = "/admin/actions"
	for _, do := range []string{"save", "remove"} {
		save("pay an invoice")
		b.get(page+"?action=invoice.pay").want(200, page)
		if err := s.Directory.RemoveAction(t.Context(), op, "invoice.pay", "x"); err != nil {
			t.Fatal(err)
		}
		b.submit("main form", "title", "pay it all", "do", do).want(404, page).shows("#problem", "removed this action meanwhile")
		if list, err := s.Directory.Actions(t.Context(), op); err != nil || len(list) != 1 {
			t.Errorf("%s: %+v %v", do, list, err)
		}
		b.doc.one(t, "#name")
		b.submit("main form", "do", "save").want(200, page).shows("#action-invoice-pay", "pay it all")
	}
	b.get(page+"?action=billing.change").want(404, page)
	b.get(page+"?action=nobodys").want(404, page)
	b.get(page+"?action=").submit("main form", "name", "billing.change", "title", "give it all away", "do", "save").want(422, page).shows("#name-err", "The server itself")
	list, err := s.Directory.Actions(t.Context(), op)
	if err != nil || len(list) != 2 || list[0].Title != "change the billing details" || list[1].Title != "pay it all" {
		t.Errorf("%+v %v", list, err)
	}
	for i := range authn.MaxActions - 1 {
		if _, err := s.Directory.SaveAction(t.Context(), op, directory.ActionChange{Action: authn.Action{Name: "a." + strings.Repeat("x", i%50+1) + string(rune('a'+i/50)), Title: "t"}}); err != nil {
			t.Fatal(err)
		}
	}
	b.get(page+"?action=").submit("main form", "name", "one.more", "title", "t", "do", "save").want(409, page).shows("#problem", "100 actions")
}

// H1: who may not make keys does not see it, and no other company's is on it.
func TestActionPageIsTheCompanys_H1(t *testing.T) {
	s := newServer(t)
	b, m := newBrowser(t, s).signIn(owner(t, s, s.Company, "priya")), newBrowser(t, s).signIn(s.AddUser(t, s.Company, "maya", false))
	beta := s.AddCompany(t, "beta", "Beta")
	if _, err := s.Directory.SaveAction(t.Context(), directory.TheOperator(beta.ID), directory.ActionChange{Action: authn.Action{Name: "theirs", Title: "open the safe"}}); err != nil {
		t.Fatal(err)
	}
	b.get("/admin/actions").want(200, "/admin/actions").shows("main", "There is no action yet.")
	b.get("/admin/actions?action=theirs").want(404, "/admin/actions")
	if strings.Contains(b.everything(), "open the safe") {
		t.Error("it has another company's")
	}
	m.get("/admin/actions").want(403, "/admin/actions")
	if m.get("/account"); len(m.doc.all("nav.side a[href=/admin/actions]")) != 0 {
		t.Error("it is in the navigation")
	}
}
