package browsertest

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// rul-28: what people are asked to confirm: empty, refused, added, changed, removed,
// and what somebody is asked then.
func TestActions_rul28(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		tb := newTab(t, s.URL, js)
		p := priya(t, s)
		tb.signIn(s, p)
		tb.open("/admin")
		tb.press("admin.actions.title")
		tb.page("actions/none", 200)
		tb.press("admin.actions.new")
		tb.page("actions/new", 200)
		tb.fill("name", "Pay!")
		tb.fill("title_pl", strings.Repeat("ż", 81))
		tb.fill("audience", "https://a b")
		tb.press("admin.save")
		tb.page("actions/wrong", 422)
		tb.focused("name")
		tb.fill("name", "invoice.pay")
		tb.fill("title", "pay an invoice")
		tb.fill("title_pl", "zapłacić fakturę")
		tb.fill("audience", "https://app.example.com")
		tb.press("admin.save")
		tb.lands("/admin/actions?done=action_saved")
		tb.says("#notice", tb.T("page.done.action_saved"))
		tb.page("actions/saved", 200)
		tb.open("/account/confirm?action=invoice.pay")
		tb.says("#act", tb.T("page.confirm.for_action", "Act", "pay an invoice"))

		// As long as it can be, and longer than the line.
		if _, err := s.Directory.SaveAction(t.Context(), directory.TheOperator(s.Company.ID), directory.ActionChange{Action: authn.Action{Name: strings.Repeat("a", 31) + "." + strings.Repeat("b", 32),
			Title: strings.Repeat("W", authn.MaxActionTitle), Audience: "https://app.example.com/" + strings.Repeat("x", authn.MaxAudience-24)}}); err != nil {
			t.Fatal(err)
		}
		tb.open("/admin/actions")
		tb.page("actions/long", 200)

		tb.press("admin.actions.change_label", "Name", "invoice.pay")
		tb.page("actions/change", 200)
		s.Clock.Advance(11 * time.Minute)
		tb.fill("reason", "Not used any more")
		tb.press("admin.actions.remove")
		tb.prove(s, p)
		tb.says("#notice", tb.T("page.done.action_removed"))
	})
}

// The same page in Polish, and by keys alone.
func TestActionsByKeys_rul28_ux35(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t, func(c *sallyport.Config) {
			c.Actions = []authn.Action{{Name: "billing.change", Title: "change the billing details"}}
		})
		tb := newTab(t, s.URL, js)
		tb.signIn(s, priya(t, s))
		tb.lang = "pl"
		tb.setCookie("sallyport_lang", "pl")
		tb.open("/admin/actions")
		tb.page("actions-pl/program", 200)
		tb.walk("actions-pl/program")
		tb.open("/admin/actions?action=")
		tb.walk("actions-pl/new")
		for _, field := range []struct{ id, value string }{{"name", "invoice.pay"}, {"title", "pay an invoice"}, {"title_pl", "zapłata faktury"}} {
			tb.tabTo("#" + field.id)
			tb.keys(field.value)
		}
		tb.follow(func() error { return tb.try(chromedp.KeyEvent("\r")) })
		tb.lands("/admin/actions?done=action_saved")
		tb.page("actions-pl/saved", 200)
		tb.open("/admin/actions?action=invoice.pay")
		tb.page("actions-pl/change", 200)
		tb.walk("actions-pl/change")
	})
}

// rul-57: where a key's application is returned to: none, refused, added, removed.
func TestReturnAddresses_rul57(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		p := priya(t, s)
		k, _, err := s.Directory.CreateKey(t.Context(), directory.TheOperator(s.Company.ID), directory.NewKey{Name: "Shop", Owner: p.ID, Scopes: []string{"grants.redeem"}})
		if err != nil {
			t.Fatal(err)
		}
		tb := newTab(t, s.URL, js)
		tb.signIn(s, p)
		tb.open("/admin/keys/" + k.ID)
		tb.page("key/no-return", 200)
		tb.fill("address", "http://shop.example.com/*")
		tb.press("admin.keys.return_add")
		tb.page("key/wrong-return", 422)
		tb.focused("address")
		for _, address := range []string{"https://shop.example.com/signed-in", "https://shop.example.com/" + strings.Repeat("long-path/", 45)} {
			tb.fill("address", address)
			tb.press("admin.keys.return_add")
			tb.says("#notice", tb.T("page.done.return_added"))
		}
		tb.page("key/returns", 200)
		tb.walk("key/returns")
		tb.press("admin.keys.return_remove_one", "Address", "https://shop.example.com/signed-in")
		tb.says("#notice", tb.T("page.done.return_removed"))
		tb.page("key/return-removed", 200)
	})
}
