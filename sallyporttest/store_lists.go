package sallyporttest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// recount is what Shapes must say: everybody's rows, looked at one by one.
func (w *world) recount(company string) map[string]int64 {
	w.t.Helper()
	counts := map[string]int64{}
	users, err := w.Store.Users(w.ctx, company, "", 200)
	w.must(err)
	for _, u := range users {
		rows := w.view(authn.Keys{Company: company, User: u.ID})
		counts[authn.ShapeOf(*rows.User, rows.Factors, w.now).String()]++
	}
	return counts
}

func (w *world) wantCounts(company string) {
	w.t.Helper()
	got, err := w.Store.Shapes(w.ctx, company)
	w.must(err)
	if want := w.recount(company); !maps.Equal(got, want) {
		w.t.Fatalf("counted %v, there are %v", got, want)
	}
	if n := w.count("SELECT count(*) FROM users u WHERE company = $1 AND import_id = '' AND NOT EXISTS (SELECT 1 FROM people_shapes p WHERE p.company = u.company AND p.shape = u.shape AND p.n > 0)", company); n != 0 {
		w.t.Fatalf("%d people of a shape that nobody counts", n)
	}
}

// people gathers all pages of a query, forwards, and checks that the way back
// gives the same.
func (w *world) people(company string, q authn.PeopleQuery) []string {
	w.t.Helper()
	var all []string
	var last authn.PeoplePage
	for range 1000 {
		page, err := w.Store.FindPeople(w.ctx, company, q)
		w.must(err)
		for _, p := range page.People {
			all = append(all, p.User.Login)
		}
		if last = page; page.Next == "" {
			break
		}
		q.After = page.Next
	}
	back := logins(last.People)
	for range 1000 {
		if last.Prev == "" {
			break
		}
		q.After, q.Before = "", last.Prev
		page, err := w.Store.FindPeople(w.ctx, company, q)
		w.must(err)
		back = append(logins(page.People), back...)
		last = page
	}
	if !slices.Equal(back, all) {
		w.t.Fatalf("forwards %v, backwards %v", all, back)
	}
	return all
}

func logins(list []authn.Listed) []string {
	var out []string
	for _, p := range list {
		out = append(out, p.User.Login)
	}
	return out
}

func runLists(t *testing.T, open opener) {
	t.Run("inv-people the counts of shapes are those of the rows after any decisions", testShapeCounts(open))
	t.Run("people are found by what fits and by the beginnings of words", testPeople(open))
	t.Run("a search that would look at too many says so and goes on", func(t *testing.T) {
		w := newWorld(t, open)
		c := w.bulk("acme2", 2500, func(i int) string { return fmt.Sprintf("common c%d", i%2) })
		words := []string{"com", "c1"}
		var found int
		var unfinished bool
		q := authn.PeopleQuery{Words: words, Limit: 200}
		for range 40 {
			page, err := w.Store.FindPeople(w.ctx, c, q)
			w.must(err)
			found, unfinished = found+len(page.People), unfinished || page.Unfinished
			if page.Next == "" {
				break
			}
			q.After = page.Next
		}
		if found != 1250 {
			t.Errorf("%d found", found)
		}
		none, err := w.Store.FindPeople(w.ctx, c, authn.PeopleQuery{Words: []string{"common", "login"}, Fits: func(s string) bool { return strings.Contains(s, "external") }})
		w.must(err)
		if len(none.People) != 0 || none.Next != "" {
			t.Errorf("%+v", none)
		}
	})
	t.Run("cve-67 a cursor is read strictly", func(t *testing.T) {
		w := newWorld(t, open)
		w.newUser(w.company, "maya")
		good := w.id(authn.UserID)
		for _, cursor := range []string{"x", "i.", "i.usr_1", good, "i." + good + ".", "w.0." + good, "w.1." + good + ".bQ", "w.-1." + good + ".bQ", "w.00." + good + ".bQ", "w.0." + good + ".bQ=",
			"w.0." + good + ".AA", "i." + good + " ", strings.Repeat("i", 5000)} {
			for _, q := range []authn.PeopleQuery{{After: cursor, Words: []string{"m"}}, {Before: cursor, Words: []string{"m"}}} {
				if _, err := w.Store.FindPeople(w.ctx, w.company.ID, q); authn.AsError(err).Code != authn.Invalid {
					t.Errorf("%.40q: %v", cursor, err)
				}
			}
		}
		_, err := w.Store.FindPeople(w.ctx, w.company.ID, authn.PeopleQuery{After: "i." + good, Before: "i." + good})
		w.want(err, authn.Invalid)
	})
	t.Run("an exemption that ends leaves the shape at the next sweep", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		u := *w.view(p.keys()).User
		u.ExemptUntil = w.now.Add(time.Hour)
		w.must(w.write(p.keys(), authn.PutUser{User: u}))
		w.wantCounts(w.company.ID)
		w.now = w.now.Add(2 * time.Hour)
		w.must(w.Store.Sweep(w.ctx, w.now))
		w.wantCounts(w.company.ID)
		if n := w.count("SELECT count(*) FROM users WHERE reshape_at > 0"); n != 0 {
			t.Errorf("%d wait", n)
		}
	})
	t.Run("rows from before there were shapes are filled in when the store opens", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		w.newUser(w.newCompany("beta"), "zoe")
		w.exec("DELETE FROM people_shapes")
		w.exec("DELETE FROM user_words")
		w.exec("UPDATE users SET shape = '', reshape_at = 1")
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		w.Store = again
		w.wantCounts(p.company)
		if got := w.people(p.company, authn.PeopleQuery{Words: []string{"may"}}); !slices.Equal(got, []string{"maya"}) {
			t.Error(got)
		}
	})
}

func testShapeCounts(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		other := w.newCompany("beta")
		w.newPerson(other, "zoe")
		before, err := w.Store.Shapes(w.ctx, other.ID)
		w.must(err)
		r := dice(1)
		var people []*person
		for i := range 6 {
			people = append(people, w.newUser(w.company, fmt.Sprintf("user%d", i)))
		}
		kinds := []authn.Kind{authn.TOTP, authn.SMS, authn.Email, authn.Duo, authn.WebAuthn}
		for step := range 150 {
			w.now = w.now.Add(time.Minute)
			p := people[r.throw(len(people))]
			rows := w.view(p.keys())
			var own []authn.Factor
			for _, f := range rows.Factors {
				if f.Kind.Own() && f.State != authn.Pending {
					own = append(own, f)
				}
			}
			u := *rows.User
			switch r.throw(9) {
			case 0:
				p.app = p.activate(kinds[r.throw(len(kinds))], fmt.Sprintf("s%d", step), 0)
			case 1:
				if len(own) > 0 {
					w.must(w.write(p.keys(), authn.DeleteFactor{ID: own[0].ID}))
				}
			case 2:
				if len(own) > 0 {
					f := own[len(own)-1]
					f.State = map[authn.FactorState]authn.FactorState{authn.Confirmed: authn.Asleep, authn.Asleep: authn.Confirmed}[f.State]
					_ = w.write(p.keys(), authn.PutFactor{Factor: f})
				}
			case 3:
				u.Audience = []authn.Audience{authn.InternalAudience, authn.ExternalAudience}[r.throw(2)]
				u.Status = []authn.UserStatus{authn.Active, authn.Suspended}[r.throw(2)]
				u.Roles = [][]string{nil, {"member"}, {"helpdesk", "auditor"}}[r.throw(3)]
				u.RequireTwoFactor, u.API = r.throw(2) == 0, r.throw(4) == 0
				w.must(w.write(p.keys(), authn.PutUser{User: u}))
			case 4:
				u.SecuredAt = w.now
				u.ExemptUntil = w.now.Add(time.Duration(r.throw(20)) * time.Minute)
				w.must(w.write(p.keys(), authn.PutUser{User: u}))
			case 5: // all that strangers may guess, and sometimes the right answer at the last
				if len(own) > 0 && own[0].State == authn.Confirmed {
					w.exec("UPDATE factors SET tries_s = 69 WHERE id = $1", own[0].ID)
					k := p.keys()
					k.Factor, k.Charge = own[0].ID, authn.GuessFactor
					_, _ = w.guess(k, []authn.Outcome{authn.Wrong, authn.Right, authn.Void}[r.throw(3)], time.Time{}, int64(step)+1)
				}
			case 6:
				codes := p.newCodes()
				for n := range 1 + r.throw(10) {
					w.must(p.use(w.Store, codes, n+1))
				}
			case 7:
				w.must(w.write(p.keys(), authn.SetPassword{ID: w.id(authn.FactorID), Hash: []byte("h"), At: w.now}))
			case 8:
				w.must(w.write(p.keys(), authn.SetEmail{Email: fmt.Sprintf("u%d@example.com", step)}))
			}
			w.must(w.Store.Sweep(w.ctx, w.now))
			w.wantCounts(w.company.ID)
		}
		after, err := w.Store.Shapes(w.ctx, other.ID)
		w.must(err)
		if !maps.Equal(before, after) {
			t.Errorf("another company counts %v, before %v", after, before)
		}
	}
}

// dice falls the same way each time (xorshift64*).
type dice uint64

// throw is one of the numbers below n.
func (d *dice) throw(n int) int {
	x := uint64(*d)
	x ^= x >> 12
	x ^= x << 25
	x ^= x >> 27
	*d = dice(x)
	return int((x * 0x2545F4914F6CDD1D >> 33) % uint64(n))
}

func testPeople(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		other := w.newCompany("beta")
		w.named(other, "maya", "maya@beta.example", "Maya Lindqvist")
		for i, name := range []string{"Maya Lindqvist", "Omar O'Brien", "Zoë Ångström", "100%_sure", "Ma Ya", "Élodie Marie-Claire"} {
			w.named(w.company, fmt.Sprintf("u%d", i), fmt.Sprintf("u%d@acme.example", i), name)
		}
		p := w.named(w.company, "maybe", "may@other.example", "May Bee")
		u := *w.view(p.keys()).User
		u.Audience = authn.ExternalAudience
		w.must(w.write(p.keys(), authn.PutUser{User: u}))
		external := func(s string) bool { return strings.Contains(s, ".external.") }
		for _, c := range []struct {
			text string
			fits func(string) bool
			want string
		}{
			{"", nil, "maybe u5 u4 u3 u2 u1 u0"},
			{"", external, "maybe"},
			{"", func(string) bool { return false }, ""},
			{"maya", nil, "u0"}, {"MAY", nil, "maybe u0"}, {"may", external, "maybe"}, {"lind may", nil, "u0"}, {"may lind", nil, "u0"},
			{"o'brien", nil, "u1"}, {"brien", nil, "u1"}, {"o’brien", nil, ""},
			{"zoë", nil, "u2"}, {"ZOE\u0308", nil, "u2"}, {"angstrom", nil, ""}, {"ångs", nil, "u2"},
			{"%", nil, ""}, {"100%", nil, "u3"}, {"100%_", nil, "u3"}, {"_", nil, ""}, {"*", nil, ""}, {"'", nil, ""}, {`"; DROP TABLE users; --`, nil, ""},
			{"other.example", nil, "maybe"}, {"@acme", nil, ""}, {"u3@acme.example", nil, "u3"}, {"acme.ex", external, ""},
			{"claire", nil, "u5"}, {"nobody", nil, ""}, {"ma ya", nil, "u4"}, {"\U0010FFFF", nil, ""},
		} {
			words, err := authn.SearchTerms(c.text)
			w.must(err)
			for _, limit := range []int{1, 2, 50} {
				got := strings.Join(w.people(w.company.ID, authn.PeopleQuery{Words: words, Fits: c.fits, Limit: limit}), " ")
				if sortedWords(got) != sortedWords(c.want) || c.text == "" && got != c.want {
					t.Errorf("%q in pages of %d: %q, want %q", c.text, limit, got, c.want)
				}
			}
		}
		page, err := w.Store.FindPeople(w.ctx, w.company.ID, authn.PeopleQuery{Fits: external, Words: []string{"nobody"}})
		w.must(err)
		if page.Count != 1 {
			t.Errorf("%d fit", page.Count)
		}
		// What a name was leads to nobody.
		u.Name, u.Login = "Other Name", "other"
		w.must(w.write(p.keys(), authn.PutUser{User: u}, authn.SetLogin{Login: "other"}))
		for text, want := range map[string]int{"bee": 0, "maybe": 0, "other": 1} {
			if got := w.people(w.company.ID, authn.PeopleQuery{Words: []string{text}}); len(got) != want {
				t.Errorf("%s: %v", text, got)
			}
		}
		if w.view(authn.Keys{Company: w.company.ID, Login: "maybe"}).User != nil || w.view(authn.Keys{Company: w.company.ID, Login: "other"}).User == nil {
			t.Error("the login is not the new one")
		}
		w.want(w.write(p.keys(), authn.SetLogin{Login: "u0"}), authn.Conflict)
	}
}

func sortedWords(s string) string {
	words := strings.Fields(s)
	slices.Sort(words)
	return strings.Join(words, " ")
}

// named makes somebody with an address and a name.
func (w *world) named(c authn.Company, login, email, name string) *person {
	w.t.Helper()
	p := &person{w: w, company: c.ID, id: w.id(authn.UserID), login: login}
	u := authn.User{Company: c.ID, ID: p.id, Login: login, Email: email, Name: name, Audience: authn.InternalAudience, Status: authn.Active, Epoch: 1, CreatedAt: w.now}
	w.must(w.write(authn.Keys{Company: c.ID, User: p.id}, authn.NewUser{User: u,
		Logins: []authn.Login{{Name: login, Kind: "name"}, {Name: email, Kind: "email"}}}))
	return p
}

// bulk makes a company of many, by an import.
func (w *world) bulk(slug string, n int, name func(int) string) string {
	w.t.Helper()
	c := w.newCompany(slug)
	id := authn.NewID("imp", w.now, rand.Reader)
	w.must(w.Store.BeginImport(w.ctx, c.ID, id, "operator", w.now))
	shapes := map[string]int64{}
	for from := 0; from < n; from += 100 {
		var list []authn.ImportedPerson
		for i := from; i < min(from+100, n); i++ {
			list = append(list, w.imported(i, fmt.Sprintf("login%d", i), name(i)))
		}
		taken, added, err := w.Store.StagePeople(w.ctx, c.ID, id, w.now, list)
		w.must(err)
		if len(taken) > 0 {
			w.t.Fatalf("%v", taken)
		}
		for s, n := range added {
			shapes[s] += n
		}
	}
	w.must(w.Store.FinishImport(w.ctx, c.ID, id, w.now, shapes, event("users.imported", "")))
	w.settle(c.ID, id)
	return c.ID
}

func (w *world) settle(company, id string) {
	w.t.Helper()
	for more := true; more; {
		var err error
		more, err = w.Store.SettleImport(w.ctx, company, id, w.now)
		w.must(err)
	}
}

func (w *world) imported(row int, login, name string) authn.ImportedPerson {
	return authn.ImportedPerson{Row: row, User: authn.User{ID: w.id(authn.UserID), Login: login, Name: name, Audience: authn.InternalAudience,
		Status: authn.Active, Epoch: 1, CreatedAt: w.now}, Logins: []authn.Login{{Name: login, Kind: "name"}}}
}

func runImports(t *testing.T, open opener) {
	t.Run("rul-24 nobody is seen before all are there, and then all are", func(t *testing.T) {
		w := newWorld(t, open)
		w.newUser(w.company, "maya")
		c, id := w.company.ID, authn.NewID("imp", w.now, rand.Reader)
		seen := func(want int) {
			t.Helper()
			if got := w.people(c, authn.PeopleQuery{}); len(got) != 1+want {
				t.Errorf("a list of %v", got)
			}
			if got := w.people(c, authn.PeopleQuery{Words: []string{"new"}}); len(got) != want {
				t.Errorf("found %v", got)
			}
			if list, err := w.Store.Users(w.ctx, c, "", 0); err != nil || len(list) != 1+want {
				t.Errorf("%d users, %v", len(list), err)
			}
			if (w.view(authn.Keys{Company: c, Login: "new1"}).User != nil) != (want > 0) {
				t.Error("by the login")
			}
			shapes, err := w.Store.Shapes(w.ctx, c)
			w.must(err)
			var sum int64
			for _, n := range shapes {
				sum += n
			}
			if sum != int64(1+want) {
				t.Errorf("counted %v", shapes)
			}
		}
		w.must(w.Store.BeginImport(w.ctx, c, id, "usr_actor", w.now))
		w.want(w.Store.BeginImport(w.ctx, c, "imp_2", "usr_actor", w.now), authn.Conflict)
		a := w.imported(2, "new1", "New One")
		a.Password, a.Hash = w.id(authn.FactorID), []byte("hash")
		dup, gone := w.imported(4, "new1", "New One"), w.imported(5, "maya", "Maya")
		taken, shapes, err := w.Store.StagePeople(w.ctx, c, id, w.now, []authn.ImportedPerson{a, w.imported(3, "new2", "New Two"), dup, gone})
		w.must(err)
		if fmt.Sprint(taken) != "[{4 login true} {5 login false}]" {
			t.Errorf("%v", taken)
		}
		seen(0)
		events := w.count("SELECT count(*) FROM events")
		w.must(w.Store.FinishImport(w.ctx, c, id, w.now, shapes, event("users.imported", "")))
		seen(2)
		w.want(w.Store.FinishImport(w.ctx, c, id, w.now, shapes, event("users.imported", "")), authn.Conflict)
		_, _, err = w.Store.StagePeople(w.ctx, c, id, w.now, nil)
		w.want(err, authn.Conflict)
		more, err := w.Store.DropImport(w.ctx, c, id)
		w.must(err)
		seen(2)
		if more {
			t.Error("what is done is dropped")
		}
		// As if the server had been killed here: the sweep goes on with it.
		w.now = w.now.Add(time.Hour)
		w.must(w.Store.Sweep(w.ctx, w.now))
		seen(2)
		w.wantCounts(c)
		if n := w.count("SELECT count(*) FROM events") - events; n != 3 {
			t.Errorf("%d events", n)
		}
		if n := w.count("SELECT count(*) FROM imports") + w.count("SELECT count(*) FROM people_shapes WHERE shape LIKE '~%'") + w.count("SELECT count(*) FROM users WHERE import_id <> ''"); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		p := &person{w: w, company: c, id: a.User.ID}
		if f := w.view(p.keys()).FactorOf(authn.Password, authn.Confirmed); f == nil {
			t.Error("no password")
		}
	})
	t.Run("what stopped in the middle is taken away", func(t *testing.T) {
		w := newWorld(t, open)
		c, id := w.company.ID, authn.NewID("imp", w.now, rand.Reader)
		w.must(w.Store.BeginImport(w.ctx, c, id, "usr_actor", w.now))
		a := w.imported(1, "new1", "New One")
		a.Password, a.Hash = w.id(authn.FactorID), []byte("hash")
		_, _, err := w.Store.StagePeople(w.ctx, c, id, w.now, []authn.ImportedPerson{a})
		w.must(err)
		w.must(w.Store.Sweep(w.ctx, w.now.Add(5*time.Minute)))
		if w.count("SELECT count(*) FROM imports") != 1 {
			t.Error("it may still go on")
		}
		w.must(w.Store.Sweep(w.ctx, w.now.Add(time.Hour)))
		for _, table := range []string{"imports", "users", "logins", "factors", "user_words", "people_shapes"} {
			if n := w.count("SELECT count(*) FROM " + table); n != 0 {
				t.Errorf("%d rows in %s", n, table)
			}
		}
		_, _, err = w.Store.StagePeople(w.ctx, c, id, w.now, []authn.ImportedPerson{a})
		w.want(err, authn.Conflict)
		w.want(w.Store.FinishImport(w.ctx, c, id, w.now, nil, event("users.imported", "")), authn.Conflict)
	})
}
