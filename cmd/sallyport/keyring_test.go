package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
)

// rul-38: a rotation may be cut off after each of its steps. A server that was
// started before it and one that is started after the cut open everything and
// add companies; the next call finishes it.
func TestRotationCutOff_rul38(t *testing.T) {
	steps := []struct {
		name string
		do   func(ctx context.Context, r *rotation) error
	}{
		{"nothing", func(context.Context, *rotation) error { return nil }},
		{"added", func(_ context.Context, r *rotation) error { return r.add() }},
		{"noted", func(ctx context.Context, r *rotation) error {
			k, _ := r.keyOf(keyNext)
			next, err := r.ring.Activate(k.ID)
			return errors.Join(err, r.store.NoteKeyring(ctx, next))
		}},
		{"active", func(ctx context.Context, r *rotation) error { return r.activate(ctx) }},
		{"rewrapped", func(ctx context.Context, r *rotation) error { _, err := r.rewrap(ctx); return err }},
		{"forgotten", func(ctx context.Context, r *rotation) error {
			k, _ := r.keyOf(keyPrevious)
			next, err := r.ring.Remove(k.ID)
			return errors.Join(err, r.store.RetireKeys(ctx, next))
		}},
		{"retired", func(ctx context.Context, r *rotation) error { _, err := r.retire(ctx); return err }},
	}
	for cut := range steps {
		t.Run(steps[cut].name, func(t *testing.T) {
			dir, ctx := t.TempDir(), t.Context()
			in := filepath.Join(dir, "sallyport.yaml")
			call := func(args ...string) string {
				t.Helper()
				var out, stderr strings.Builder
				if code := run(ctx, append(args, "--config", in), nil, strings.NewReader(""), &out, &stderr); code != fine {
					t.Fatalf("%v: exit %d\n%s%s", args, code, &out, &stderr)
				}
				return out.String()
			}
			if code := run(ctx, []string{"init", "--dir", dir, "--company", "Acme"}, nil, strings.NewReader(""), io.Discard, io.Discard); code != fine {
				t.Fatal("init")
			}
			call("company", "add", "beta")
			cfg, err := loadConfig(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			before, err := open(ctx, cfg, alone, silent) // as serve does; it has used no key yet
			if err != nil {
				t.Fatal(err)
			}
			defer before.store.Close()
			p := &program{config: in}
			for _, step := range steps[:cut+1] {
				if err := p.rotation(ctx, func(r *rotation) error { return step.do(ctx, r) }); err != nil {
					t.Fatalf("%s: %v", step.name, err)
				}
			}
			works := func(o *opened, name string) {
				t.Helper()
				companies, err := o.directory.Companies(ctx)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range companies {
					if _, err := o.store.Events(ctx, c.ID, authn.EventQuery{}); err != nil {
						t.Errorf("%s: %s: %v", name, c.Slug, err)
					}
				}
				if _, err := o.directory.CreateCompany(ctx, name, name); err != nil {
					t.Errorf("%s: a new company: %v", name, err)
				}
			}
			works(before, "before")
			after, err := open(ctx, cfg, beside, silent)
			if err != nil {
				t.Fatal(err)
			}
			works(after, "after")
			if err := after.store.Close(); err != nil {
				t.Fatal(err)
			}
			// Finish: whatever is left, then the old keys.
			if steps[cut].name != "retired" && steps[cut].name != "forgotten" {
				call("keyring", "rotate")
				call("keyring", "rotate", "--retire")
			} else if steps[cut].name == "forgotten" {
				call("keyring", "rotate", "--retire")
			}
			if out := call("keyring", "status", "--json"); strings.Count(out, `"state"`) != 1 || !strings.Contains(out, `"companies": 4`) || !strings.Contains(out, `"fits_database": true`) {
				t.Errorf("%s", out)
			}
			works(before, "late")
			last, err := open(ctx, cfg, beside, silent)
			if err != nil {
				t.Fatal(err)
			}
			works(last, "last")
			if err := last.store.Close(); err != nil {
				t.Fatal(err)
			}
			if out := call("audit", "list", "--company", "beta", "--type", "company_key."); !strings.Contains(out, "wrapped under a new root key") {
				t.Errorf("no event: %s", out)
			}
		})
	}
}

// Two rotations at once: one of them is told, and nothing is lost.
func TestRotationsAtOnce(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	in := filepath.Join(dir, "sallyport.yaml")
	if code := run(ctx, []string{"init", "--dir", dir, "--company", "Acme"}, nil, strings.NewReader(""), io.Discard, io.Discard); code != fine {
		t.Fatal("init")
	}
	p := &program{config: in}
	err := p.rotation(ctx, func(one *rotation) error {
		err := p.rotation(ctx, func(two *rotation) error { _, err := two.rotate(ctx, false); return err })
		if err != nil {
			return err
		}
		_, err = one.rotate(ctx, false)
		return err
	})
	if err == nil || !strings.Contains(fmt.Sprint(err), "changed meanwhile") {
		t.Errorf("%v", err)
	}
	if err := p.rotation(ctx, func(r *rotation) error { _, err := r.retire(ctx); return err }); err != nil {
		t.Error(err)
	}
}
