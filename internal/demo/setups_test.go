package demo

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/policy"
)

// begun is how an attempt of somebody begins: its state, and the ways in their order.
func (s *server) begun(t *testing.T, login string, want int) string {
	t.Helper()
	var a struct {
		State   string
		Methods []struct{ Method string }
		Sent    *struct{}
	}
	s.call(t, "POST", "/api/v1/attempts", "", map[string]string{"login": login, "password": Password}, want, &a)
	out := a.State
	for _, m := range a.Methods {
		out += " " + m.Method
	}
	if a.Sent != nil {
		out += " (sent)"
	}
	return out
}

// Each set-up of section L: how the attempts of its people begin.
func TestSetups_L(t *testing.T) {
	const gone = "nobody"
	for setup, want := range map[string]map[string]string{
		// L1: the app or text messages, for who wants them.
		"incident": {"priya": "need_factor totp backup_code", "maya": "need_factor totp sms backup_code", "nadia": "need_factor sms", "lena": "complete", "omar": "complete", "diego": gone},
		// L2: the app; required of Omar.
		"business": {"priya": "need_factor totp backup_code", "maya": "need_factor totp backup_code", "omar": "need_factor email", "lena": "complete", "mei": "need_factor totp backup_code", "jose": gone, "nadia": gone, "diego": gone},
		// L3: of everybody, and the code goes out with the password.
		"network": {"priya": "need_factor totp backup_code", "diego": "need_factor duo", "lena": "need_factor email (sent)", "omar": "need_factor email (sent)", "grace": "need_factor sms email (sent)", "nadia": gone},
		// L4: the app, for who wants it.
		"cases": {"priya": "need_factor totp backup_code", "tom": "need_factor totp", "lena": "complete", "omar": "complete", "nadia": gone},
		// L5: administrators and agents must; Lena is one.
		"chat": {"priya": "need_factor totp backup_code", "hiroshi": "need_factor totp backup_code", "lena": "need_factor email", "omar": "complete", "diego": gone},
	} {
		t.Run(setup, func(t *testing.T) {
			t.Parallel()
			s := startAs(t, "", setup)
			for login, begins := range want {
				if begins == gone {
					s.begun(t, login, http.StatusUnprocessableEntity)
				} else if got := s.begun(t, login, http.StatusCreated); got != begins {
					t.Errorf("%s: %s, want %s", login, got, begins)
				}
			}
			i := slices.IndexFunc(policy.Presets(), func(p policy.Preset) bool { return p.Name == setup })
			c, err := s.directory.Company(t.Context(), companySlug)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := policy.Parse(c.Policy)
			if err != nil || fmt.Sprint(doc) != fmt.Sprint(policy.Presets()[i].Document) {
				t.Errorf("%+v %v", doc, err)
			}
			res, err := http.Get(s.url + "/demo")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			page, err := io.ReadAll(res.Body)
			if err != nil || !strings.Contains(string(page), `id="setup"`) || !strings.Contains(string(page), ">"+setup+"<") {
				t.Errorf("the tour does not say what runs: %v", err)
			}
		})
	}
}

// What a folder was made as, it stays.
func TestSetupStays(t *testing.T) {
	if len(Setups()) != 5 {
		t.Errorf("%v", Setups())
	}
	dir := t.TempDir()
	c := config(t, dir)
	c.Setup = "perhaps"
	if _, err := Open(t.Context(), c); err == nil {
		t.Fatal("a set-up that there is not")
	}
	c.Setup = "cases"
	d, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	c.Setup = "chat"
	if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "cases") {
		t.Errorf("%v", err)
	}
	c.Setup = ""
	if d, err = Open(t.Context(), c); err != nil || d.Setup() != "cases" {
		t.Fatalf("%v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}
