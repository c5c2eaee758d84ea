package browsertest

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// S30: an owner requires two steps of everybody, sees what that does, and saves it;
// and that is then what happens (G5).
func TestPolicy_S30_G5(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		k := authn.Keys{Company: s.Company.ID, Now: s.Clock.Now()}
		if err := s.Store.Decide(context.Background(), k, func(rows *authn.Rows) authn.Verdict {
			return authn.Continue(authn.SetRoles{Version: rows.Company.RolesVersion + 1, Roles: []authn.Role{
				{Name: "desk", Title: `<img src=x onerror=alert(1)> Donaudampfschifffahrtsgesellschaftskapitaen`, Permissions: []string{string(directory.UsersRead)}}}})
		}); err != nil {
			t.Fatal(err)
		}
		tb := newTab(t, s.URL, js)
		owner := priya(t, s)
		people := []sallyporttest.Person{owner, s.AddUser(t, s.Company, "maya", true), s.AddUser(t, s.Company, "lena", false), s.AddUser(t, s.Company, "ada", false), addUnverified(t, s, "nora")}
		omar, err := s.Directory.CreateUser(context.Background(), s.Company, directory.NewUser{Login: "omar", Email: "omar@beta.example", Verified: true,
			Audience: authn.ExternalAudience, Password: sallyporttest.Password})
		if err != nil {
			t.Fatal(err)
		}
		people = append(people, sallyporttest.Person{User: omar})
		tb.forgive("data:image/svg+xml") // the browser's own picture in a field for a date
		tb.signIn(s, owner)
		tb.open("/admin/policy")
		tb.page("policy", 200)
		tb.choose("two_factor", "required")
		tb.choose("external", "not_offered")
		tb.fill("grace_days", "100")
		tb.press("admin.policy.preview")
		tb.page("policy/refused", 422)
		tb.says("#external-err", tb.T("field.contradicts"))
		tb.choose("external", "")
		tb.fill("grace_days", "")
		tb.press("admin.policy.preview")
		tb.page("policylook/required", 200)
		tb.says("#you", tb.T("admin.policy.you.own_way"))
		if !tb.has("#stranded") {
			t.Error("nora has no confirmed address, and nobody says so")
		}
		tb.fill("reason", "The board decided it.")
		tb.press("admin.policy.save")
		tb.lands("/admin/policy?done=policy_saved")
		tb.page("policy/saved", 200)
		tb.open("/admin/policy/history")
		tb.page("policyhistory", 200)

		// What was said of them is what happens at their next sign-in.
		list, err := s.Directory.PolicyVersions(context.Background(), s.Company.ID, 0, 1)
		if err != nil || len(list) != 1 {
			t.Fatal(err)
		}
		var said policy.Preview
		if err := json.Unmarshal(list[0].Summary, &said); err != nil {
			t.Fatal(err)
		}
		happened := map[policy.Group]int{}
		for _, p := range people {
			happened[begins(t, s, p)]++
		}
		for _, g := range []policy.Group{policy.GroupSetUp, policy.GroupCode, policy.GroupOwn, policy.GroupNothing, policy.GroupStranded} {
			if said.Groups[g].People != happened[g] {
				t.Errorf("%s: %d people were said, %d it is", g, said.Groups[g].People, happened[g])
			}
		}
	})
}

// begins is what a person is asked for after the password.
func begins(t *testing.T, s *sallyporttest.Server, p sallyporttest.Person) policy.Group {
	t.Helper()
	st, err := s.SignIn.Begin(context.Background(), signin.Begin{Company: "acme", Login: p.Login, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case st.Need.State == authn.Denied:
		return policy.GroupStranded
	case st.Need.State == authn.Complete:
		return policy.GroupNothing
	case st.Need.State == authn.NeedFactor && !st.Need.Offers[0].Fallback:
		return policy.GroupOwn
	}
	o := signin.OpenerOf(st.Token, authn.Client{})
	if _, _, err := s.SignIn.Challenge(context.Background(), o, authn.Email, ""); err != nil {
		t.Fatal(err)
	}
	done, err := s.SignIn.Verify(context.Background(), o, signin.Verify{Method: authn.Email, Answer: authn.Answer{Code: s.LastCode(t, p.Email)}})
	if err != nil {
		t.Fatal(err)
	}
	if done.Need.State == authn.NeedEnrolment {
		return policy.GroupSetUp
	}
	return policy.GroupCode
}

// The rules for passkeys: refused beside the field, and shown as they were saved.
func TestPolicyPasskeys_N1(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		tb := newTab(t, s.URL, js)
		tb.forgive("data:image/svg+xml") // the browser's own picture in a field for a date
		tb.signIn(s, priya(t, s))
		tb.open("/admin/policy")
		tb.fill("passkeys_models", "YubiKey 5 NFC")
		tb.press("admin.policy.preview")
		tb.page("policy/passkeys_refused", 422)
		tb.says("#passkeys_models-err", tb.T("field.not_a_model"))
		tb.fill("passkeys_models", "")
		tb.tick("passkeys_device_bound")
		tb.tick("passkeys_block_copied")
		tb.press("admin.policy.preview")
		tb.page("policylook/passkeys", 200)
		tb.fill("reason", "Security keys only.")
		tb.press("admin.policy.save")
		tb.lands("/admin/policy?done=policy_saved")
		tb.page("policy/passkeys", 200)
	})
}
