package sallyporttest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

// added are the tables that came after the first schema, children first.
var added = []string{"passkeys", "passkey_asks", "external_ids", "handles", "return_addresses", "forms", "resets", "trusted_browsers", "grants", "actions", "brand_files", "branding", "event_counts", "audit_streams", "audit_anchors", "policy_reminders", "policy_invitations", "policy_versions", "tombstones", "imports", "user_words", "people_shapes", "role_holders", "api_accounts", "approvals", "budgets", "provider_health", "providers", "api_keys", "saved_codes", "challenges", "links", "outbox"}

// undo takes a migration back, by its number; newer ones first.
var undo = map[int][]string{
	6: {
		"DROP TABLE approvals", "ALTER TABLE api_keys DROP COLUMN unattended",
		"ALTER TABLE companies DROP COLUMN roles", "ALTER TABLE companies DROP COLUMN roles_version",
		"ALTER TABLE users DROP COLUMN api", "ALTER TABLE users DROP COLUMN exempt_until", "ALTER TABLE users DROP COLUMN exempt_reason",
		"ALTER TABLE users DROP COLUMN exempt_by", "ALTER TABLE users DROP COLUMN last_sign_in_at",
	},
	7: {"DROP TABLE policy_reminders", "DROP TABLE policy_versions"},
	8: {"DROP TABLE brand_files", "DROP TABLE branding"},
	9: {
		"DROP INDEX users_exempt", "DROP INDEX users_password_known", "DROP INDEX users_grace", "DROP INDEX factors_wrong",
		"DROP TABLE event_counts", "ALTER TABLE events DROP COLUMN counts", "ALTER TABLE events DROP COLUMN counted_as",
	},
	10: {
		"DROP TABLE audit_streams", "DROP TABLE audit_anchors", "DROP INDEX events_actor", "DROP INDEX events_type", "DROP INDEX companies_keep",
		"ALTER TABLE companies DROP COLUMN audit_keep_months",
	},
	11: {
		"DROP TABLE tombstones", "DROP INDEX companies_erased", "ALTER TABLE companies DROP COLUMN erased_at", "ALTER TABLE companies DROP COLUMN purged_at",
	},
	12: {
		"DROP TABLE imports", "DROP TABLE user_words", "DROP TABLE people_shapes", "DROP INDEX users_shape", "DROP INDEX users_reshape", "DROP INDEX users_import",
		"ALTER TABLE users DROP COLUMN shape", "ALTER TABLE users DROP COLUMN reshape_at", "ALTER TABLE users DROP COLUMN import_id", "ALTER TABLE users DROP COLUMN email_trusted_at",
	},
	13: {
		"DROP TABLE role_holders", "DROP TABLE api_accounts", "DROP INDEX api_keys_end",
		"ALTER TABLE api_keys DROP COLUMN made_by", "ALTER TABLE api_keys DROP COLUMN old_token", "ALTER TABLE api_keys DROP COLUMN old_until",
		"ALTER TABLE api_keys DROP COLUMN old_expires_at", "ALTER TABLE api_keys DROP COLUMN used_from", "ALTER TABLE api_keys DROP COLUMN told",
	},
	14: {
		"ALTER TABLE factors DROP COLUMN set_by", "DROP INDEX approvals_requester", "DROP INDEX approvals_target",
		"CREATE INDEX approvals_target ON approvals (company, target)",
	},
	15: {"ALTER TABLE factors DROP COLUMN round"},
	16: {"DROP TABLE policy_invitations"},
	17: {"DROP TABLE grants", "DROP TABLE actions", "ALTER TABLE attempts DROP COLUMN wants"},
	18: {
		"DROP TABLE trusted_browsers", "ALTER TABLE sessions DROP COLUMN trust", "ALTER TABLE companies DROP COLUMN trust_version",
	},
	19: {"DROP TABLE resets", "ALTER TABLE users DROP COLUMN password_reset_at"},
	20: {"DROP TABLE forms"},
	21: {"DROP TABLE handles", "DROP TABLE return_addresses", "ALTER TABLE attempts DROP COLUMN caller"},
	22: {"ALTER TABLE users DROP COLUMN help_asked_at"},
	23: {"DROP TABLE external_ids", "ALTER TABLE users DROP COLUMN external_id"},
	25: {"DROP TABLE passkeys", "DROP TABLE passkey_asks"},
	26: {"ALTER TABLE users DROP COLUMN passkey_offered_at"},
	24: {"ALTER TABLE trusted_browsers DROP COLUMN name"},
}

// backTo takes back every migration after the one of that number.
func backTo(version int) []string {
	var list []string
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(undo))) {
		if n > version {
			list = append(list, undo[n]...)
		}
	}
	return append(list, fmt.Sprintf("DELETE FROM migrations WHERE version > %d", version))
}

// firstSchema puts the database back to migration 0001, with the data that it
// had room for.
func (w *world) firstSchema() {
	w.t.Helper()
	raw, err := fs.ReadFile(store.Migrations(), "0001_begin.sql")
	w.must(err)
	old := slices.DeleteFunc(slices.Clone(tables), func(s string) bool { return slices.Contains(added, s) || s == "migrations" })
	data := map[string][]map[string]any{}
	for _, table := range old {
		data[table] = w.rows(table)
	}
	for _, table := range slices.Concat(added, old) {
		w.exec("DROP TABLE " + table + cascade(w.Fixture))
	}
	macros := []string{"@text", "TEXT", "@int", "INTEGER", "@bool", "INTEGER", "@blob", "BLOB", "@json", "TEXT", "@strict", "STRICT, WITHOUT ROWID"}
	if cascade(w.Fixture) != "" {
		macros = []string{"@text", `text COLLATE "C"`, "@int", "bigint", "@bool", "boolean", "@blob", "bytea", "@json", "text", "@strict", ""}
	}
	var text strings.Builder
	for line := range strings.Lines(string(raw)) {
		if !strings.HasPrefix(line, "--") {
			text.WriteString(line)
		}
	}
	for s := range strings.SplitSeq(strings.NewReplacer(macros...).Replace(text.String()), ";") {
		if strings.TrimSpace(s) != "" {
			w.exec(s)
		}
	}
	for _, table := range slices.Sorted(maps.Keys(data)) {
		if table == "companies" || table == "users" { // those that others refer to come first
			continue
		}
		defer w.fill(table, data[table])
	}
	w.fill("companies", data["companies"])
	w.fill("users", data["users"])
	w.exec("DELETE FROM migrations WHERE version > 1")
	sum := sha256.Sum256(raw)
	if w.count("SELECT count(*) FROM migrations WHERE checksum = $1", hex.EncodeToString(sum[:])) != 1 {
		w.t.Fatal("that is not the first migration")
	}
}

// rows are all rows of a table, by column.
func (w *world) rows(table string) []map[string]any {
	w.t.Helper()
	rows, err := w.SQL.Query("SELECT * FROM " + table)
	w.must(err)
	defer rows.Close()
	columns, err := rows.Columns()
	w.must(err)
	var list []map[string]any
	for rows.Next() {
		values, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		w.must(rows.Scan(targets...))
		row := map[string]any{}
		for i, c := range columns {
			row[c] = values[i]
		}
		list = append(list, row)
	}
	w.must(rows.Err())
	return list
}

// fill inserts what a table has columns for.
func (w *world) fill(table string, list []map[string]any) {
	w.t.Helper()
	rows, err := w.SQL.Query("SELECT * FROM " + table + " LIMIT 0")
	w.must(err)
	columns, err := rows.Columns()
	w.must(errors.Join(err, rows.Close()))
	for _, row := range list {
		var args []any
		var places []string
		for i, c := range columns {
			args, places = append(args, row[c]), append(places, fmt.Sprintf("$%d", i+1))
		}
		w.exec("INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES ("+strings.Join(places, ", ")+")", args...)
	}
}

func runMigrations(t *testing.T, open opener) {
	t.Run("0002 keeps what 0001 held, and fills in what follows from it", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya") // an app, confirmed later than her Duo was
		w.now = epoch.Add(time.Hour)
		p.activate(authn.Duo, "duo", 0)
		w.now = epoch.Add(2 * time.Hour)
		p.app = p.activate(authn.TOTP, p.secret, 41)
		pending := p.begin(authn.SMS, "pending")
		p.guessApp(authn.Wrong)
		q := w.newUser(w.company, "omar") // a password, and one that was never confirmed
		q.begin(authn.TOTP, "never")
		owner, almost := w.newUser(w.company, "zoe"), w.newUser(w.company, "ada")
		for who, roles := range map[*person][]string{owner: {"auditor", "owner"}, almost: {"co-owner", "owners"}} {
			u := *w.view(who.keys()).User
			u.Roles = roles
			w.must(w.write(who.keys(), authn.PutUser{User: u}))
		}
		_, session := p.newSession()
		_, attempt := p.newAttempt("cookie")
		k := p.keys()
		k.Browser = "own"
		w.must(w.write(k, authn.KnowBrowser{}))
		events := w.count("SELECT count(*) FROM events")
		w.firstSchema()
		if w.count("SELECT count(*) FROM factors WHERE state = 'active'") != 6 {
			t.Fatal("the data is not there")
		}
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		w.Store = again

		rows := w.view(p.keys())
		if len(rows.Factors) != 4 || !rows.User.HadFactorAt.Equal(epoch.Add(time.Hour)) || rows.Company.Support != "" || rows.Company.Provides != nil || rows.User.Phone != "" || !rows.User.PhoneChangedAt.IsZero() || !rows.User.GraceAt.IsZero() {
			t.Errorf("%+v %+v", rows.User, rows.Factors)
		}
		f := rows.Factor(p.app)
		if f == nil || f.State != authn.Confirmed || f.LastStep != 41 || f.Counts[authn.Stranger].Tries != 1 || f.Left != 0 || !f.ProbationUntil.IsZero() ||
			!f.ConfirmAt.Equal(w.now) || f.Name != "phone" || string(f.Data) != `{"digits":6}` {
			t.Errorf("%+v", f)
		}
		if c := p.guessApp(authn.Right); string(c.Secret) != p.secret {
			t.Error("the secret does not open")
		}
		if secret, err := w.Store.PendingSecret(w.ctx, authn.Keys{Company: p.company, User: p.id, Factor: pending.ID, Now: w.now}); err != nil || string(secret) != "pending" {
			t.Errorf("%q %v", secret, err)
		}
		if u := w.view(q.keys()).User; !u.HadFactorAt.IsZero() {
			t.Errorf("a password, or what is pending, is no way of one's own: %+v", u)
		}
		if rows := w.view(authn.Keys{Company: p.company, SessionToken: session}); rows.Session == nil || rows.Session.Name != "" {
			t.Error("the session is lost")
		}
		if w.view(authn.Keys{Company: p.company, AttemptToken: attempt}).Attempt == nil {
			t.Error("the attempt is lost")
		}
		k.Now = w.now
		if rows := w.view(k); rows.Lane != authn.Known || rows.BrowserFactor != "" {
			t.Error("the browser is lost")
		}
		for who, want := range map[*person]int{p: 0, q: 0, owner: 1, almost: 0} {
			if n := w.count("SELECT count(*) FROM users WHERE owner AND id = $1", who.id); n != want {
				t.Errorf("%s is an owner: %d", who.login, n)
			}
		}
		if n := w.count("SELECT count(*) FROM events"); n != events+1 { // and the guess above
			t.Errorf("%d events of %d", n, events)
		}
		// The rules of the table hold as they did, and the new ones too.
		one := authn.Factor{ID: w.id(authn.FactorID), Kind: authn.TOTP, State: authn.Confirmed}
		w.want(w.write(p.keys(), authn.NewFactor{Factor: one}), authn.Conflict)
		w.want(w.write(p.keys(), authn.NewFactor{Factor: authn.Factor{ID: p.app, Kind: authn.WebAuthn, State: authn.Confirmed}}), authn.Conflict)
		for name, s := range map[string]string{
			"state": "UPDATE factors SET state = 'other' WHERE id = $1", "tries": "UPDATE factors SET tries_k = -1 WHERE id = $1",
			"left": "UPDATE factors SET left_over = -1 WHERE id = $1", "person": "UPDATE factors SET user_id = 'usr_none' WHERE id = $1",
			"kind": "UPDATE factors SET kind = 'duo' WHERE id = $1", "null": "UPDATE factors SET sealed = NULL WHERE id = $1",
		} {
			if _, err := w.SQL.Exec(s, p.app); err == nil && (name != "person" || cascade(w.Fixture) != "") { // beside the store SQLite checks no keys
				t.Errorf("%s can be anything", name)
			}
			w.exec("UPDATE factors SET user_id = $1 WHERE id = $2", p.id, p.app)
		}
		codes := p.newCodes()
		w.must(p.use(w.Store, codes, 1))
		p.newCodes()
		if n := w.count("SELECT count(*) FROM saved_codes"); n != 10 {
			t.Errorf("%d codes", n)
		}
		q.newMailbox()
		w.want(w.write(q.keys(), authn.NewFactor{Factor: authn.Factor{ID: w.id(authn.FactorID), Kind: authn.Email, State: authn.Fallback}}), authn.Conflict)
		w.must(w.Store.Sweep(w.ctx, w.now.Add(24*time.Hour)))
		if w.view(p.keys()).Factor(pending.ID) != nil {
			t.Error("not swept")
		}
		// Once is enough.
		_, err = w.Again(t, w.Keyring)
		w.must(err)
	})
	t.Run("0007 begins the history with the policies that are there", func(t *testing.T) {
		w := newWorld(t, open)
		k := authn.Keys{Company: w.company.ID}
		w.must(w.write(k, authn.SetPolicy{Policy: []byte(`{"b":1}`), Version: 2, Actor: "operator"}))
		for _, s := range backTo(6) {
			w.exec(s)
		}
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		list, err := again.PolicyVersions(w.ctx, w.company.ID, 0, 0)
		w.must(err)
		if len(list) != 1 || list[0].Version != 2 || string(list[0].Document) != `{"b":1}` || list[0].Actor != "" {
			t.Errorf("%+v", list)
		}
	})
	t.Run("0005 finds the providers that are there, and its rules hold for rows from before", func(t *testing.T) {
		w := newWorld(t, open)
		p, q, r := w.newUser(w.company, "maya"), w.newUser(w.newCompany("beta"), "zoe"), w.newUser(w.newCompany("gamma"), "omar")
		set := func(p *person, settings []byte) {
			w.must(w.write(p.keys(), authn.SetProvider{Provider: authn.Provider{Channel: authn.Email, Version: 1, Settings: settings}, Provides: settings != nil}))
		}
		set(p, []byte("{}"))
		set(q, nil) // who went back to the server's
		p.activate(authn.SMS, "+41790000001", 0)
		m := &mailing{world: w, p: p, mailbox: p.newMailbox(), token: p.attemptIn(authn.Stranger)}
		m.out = m.send(m.token)
		for _, s := range append(backTo(5), "DROP TABLE provider_health", "DROP TABLE budgets", "DROP INDEX factors_subject", "ALTER TABLE factors DROP COLUMN subject",
			"ALTER TABLE companies DROP COLUMN provides", "ALTER TABLE challenges DROP COLUMN outcome", "ALTER TABLE challenges DROP COLUMN detail",
			"ALTER TABLE users DROP COLUMN phone", "ALTER TABLE users DROP COLUMN phone_trusted_at", "ALTER TABLE users DROP COLUMN phone_changed_at",
			"DELETE FROM migrations WHERE version = 5") {
			w.exec(s)
		}
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		w.Store = again
		for who, want := range map[*person]int{p: 1, q: 0, r: 0} {
			if got := w.view(who.keys()).Company.Provides; len(got) != want || want == 1 && got[0] != authn.Email {
				t.Errorf("%s: %v", who.login, got)
			}
		}
		k := m.keys()
		k.Sent = true
		rows := w.view(k)
		if len(rows.Challenges) != 1 || rows.Challenges[0].Outcome != authn.NotOutside || rows.Challenges[0].Detail != nil || rows.User.Phone != "" {
			t.Errorf("%+v", rows.Challenges)
		}
		if f := rows.FactorOf(authn.SMS, authn.Confirmed); f == nil || f.Destination != "+41790000001" {
			t.Errorf("%+v", f)
		}
		w.must(w.spend(w.hour("dial", "+41", 1)))
		if _, err := w.SQL.Exec("UPDATE budgets SET n = -1"); err == nil {
			t.Error("a budget can be anything")
		}
	})
}
