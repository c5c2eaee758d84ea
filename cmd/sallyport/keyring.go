package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/store"
)

func (p *program) keyringCommand() *cobra.Command {
	return p.configured(group("keyring", "The root keys that open everything sealed", "  sallyport keyring status", p.keyringStatus(), p.keyringRotate()))
}

// rootView is a root key as machines read it.
type rootView struct {
	ID        string    `json:"id"`
	State     string    `json:"state"`
	Created   time.Time `json:"created_at"`
	Companies int       `json:"companies"` // whose keys are wrapped under it
}

type ringView struct {
	File string     `json:"file,omitempty"`
	Fits bool       `json:"fits_database"`
	Keys []rootView `json:"keys"`
	Next string     `json:"next_step"`
}

// wrappedBy counts the companies under each root key, also under one that the
// keyring lacks.
func wrappedBy(ctx context.Context, st *store.Store, ring *keyring.Keyring) (map[string]int, error) {
	keys, err := st.WrappedKeys(ctx)
	if err != nil {
		return nil, err
	}
	n := map[string]int{}
	for company, wrapped := range keys {
		id, err := ring.WrappedBy(wrapped)
		if err != nil {
			return nil, fmt.Errorf("the key of company %s is damaged: %w", company, err)
		}
		n[id]++
	}
	return n, nil
}

func (p *program) keyringStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the root keys, and where a rotation stands", Example: "  sallyport keyring status\n  sallyport keyring status --json", Args: cobra.NoArgs,
		Long: "Shows the keys of the keyring: their ids, states and ages, and how many companies are wrapped under each. No key is shown.\n\n" +
			"  active    writes\n  next      is there and does not write yet\n  previous  only reads; `keyring rotate --retire` takes it out",
		RunE: does(func(c *cobra.Command, _ []string) error {
			return p.rotation(c.Context(), func(r *rotation) error {
				v, err := r.view(c.Context())
				if err != nil {
					return err
				}
				return p.printRing(v)
			})
		}),
	}
}

func (p *program) printRing(v ringView) error {
	if p.json {
		return p.showJSON(v)
	}
	w := tabwriter.NewWriter(p.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tSTATE\tMADE\tCOMPANIES")
	for _, k := range v.Keys {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", k.ID, k.State, k.Created.Format(time.DateOnly), k.Companies)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.out, "\nNext: %s\n", v.Next)
	return err
}

func (p *program) keyringRotate() *cobra.Command {
	c := &cobra.Command{
		Use: "rotate", Short: "Make a new root key, and wrap all companies under it", Args: cobra.NoArgs,
		Long: "Makes a new root key, lets it write, and wraps the keys of all companies under it, one by one. It may run beside the server, be cut off at any moment, and be called again: it goes on where it was.\n\n" +
			"On PostgreSQL, where several servers may have copies of the file, it stops after the first step. Bring the new file to all of them, then go on with --distributed. A running server reads its " +
			"file anew when it meets a key that it does not know.\n\n" +
			"The old key stays in the file, because backups of the database need it. When none is kept any more that is older than the rotation, --retire takes out the keys that no company needs.\n\n" +
			"A rotation wraps the companies' own keys anew; these never change, so no value is sealed again. After somebody has read the keyring together with the database, rotating is not enough: " +
			"everybody's password and app must be set anew.",
		Example: "  sallyport keyring rotate\n  sallyport keyring rotate --distributed\n  sallyport keyring rotate --retire",
	}
	distributed := c.Flags().Bool("distributed", false, "every server has the file with the new key")
	retire := c.Flags().Bool("retire", false, "take out old keys that no company needs; no backup that needs them is kept")
	c.MarkFlagsMutuallyExclusive("distributed", "retire")
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		return p.rotation(c.Context(), func(r *rotation) error {
			var done string
			var err error
			if *retire {
				done, err = r.retire(c.Context())
			} else {
				done, err = r.rotate(c.Context(), *distributed)
			}
			if err != nil {
				return err
			}
			v, err := r.view(c.Context())
			if err != nil {
				return err
			}
			if p.json {
				return p.showJSON(v)
			}
			if _, err := fmt.Fprint(p.out, done, "\n\n"); err != nil {
				return err
			}
			return p.printRing(v)
		})
	})
	return c
}

// rotation is the keyring of an installation with its database. Each step can
// be the last one before the machine stops: the next call goes on from there.
type rotation struct {
	config *config
	store  *store.Store
	ring   *keyring.Keyring // as it is in the file
}

func (p *program) rotation(ctx context.Context, f func(*rotation) error) error {
	c, err := loadConfig(p.config, p.env)
	if err != nil {
		return err
	}
	ring, err := c.keyring()
	if err != nil {
		return err
	}
	o, err := open(ctx, c, beside, silent)
	if err != nil {
		return err
	}
	err = f(&rotation{c, o.store, ring})
	if closed := o.store.Close(); err == nil {
		err = closed
	}
	return err
}

func (r *rotation) keyOf(state string) (keyring.Info, bool) {
	list := r.ring.Infos()
	i := slices.IndexFunc(list, func(k keyring.Info) bool { return k.State == state })
	if i < 0 {
		return keyring.Info{}, false
	}
	return list[i], true
}

// States of a key in the file.
const (
	keyNext     = "next"
	keyPrevious = "previous"
)

func (r *rotation) view(ctx context.Context) (ringView, error) {
	v := ringView{Fits: r.store.CheckKeyring(ctx) == nil}
	if r.config.KeyringText == "" {
		v.File = r.config.KeyringFile
	}
	under, err := wrappedBy(ctx, r.store, r.ring)
	if err != nil {
		return v, err
	}
	old := 0
	for _, k := range r.ring.Infos() {
		v.Keys = append(v.Keys, rootView{k.ID, k.State, k.Created, under[k.ID]})
		if k.State != "active" {
			old += under[k.ID]
		}
	}
	_, next := r.keyOf(keyNext)
	_, previous := r.keyOf(keyPrevious)
	switch {
	case next && r.config.postgres():
		v.Next = "bring " + v.File + " to every server, then: sallyport keyring rotate --distributed"
	case next, old > 0:
		v.Next = "sallyport keyring rotate (it was cut off)"
	case previous:
		v.Next = "keep a copy of the file apart from the database; when no backup from before the rotation is kept any more: sallyport keyring rotate --retire"
	default:
		v.Next = "nothing; rotate when somebody may have read the file, and every two years"
	}
	return v, nil
}

// replace writes the next keyring over the file.
func (r *rotation) replace(next *keyring.Keyring) error {
	if r.config.KeyringText != "" {
		return say(authn.Conflict, "the keyring comes from %sKEYRING, which cannot be written; write it to a file (mode 0600), name that in keyring_file, rotate, and put the new text back", envPrefix)
	}
	if err := next.Replace(r.config.KeyringFile, r.ring); err != nil {
		return err
	}
	r.ring = next
	return nil
}

// rotate makes all steps that are left.
func (r *rotation) rotate(ctx context.Context, distributed bool) (string, error) {
	_, next := r.keyOf(keyNext)
	_, previous := r.keyOf(keyPrevious)
	under, err := wrappedBy(ctx, r.store, r.ring)
	if err != nil {
		return "", err
	}
	cutOff := previous && len(under) > 0 && under[r.ring.ActiveID()] < total(under)
	switch {
	case cutOff: // go on with the last step
	case !next && distributed:
		return "", say(authn.Conflict, "there is no new key yet; `sallyport keyring rotate` makes one")
	case !next:
		if err := r.add(); err != nil {
			return "", err
		}
		fallthrough
	default:
		if r.config.postgres() && !distributed {
			return "A new key is in " + r.config.KeyringFile + " and does not write yet.", nil
		}
		if err := r.activate(ctx); err != nil {
			return "", err
		}
	}
	n, err := r.rewrap(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s writes now; %s moved to it. Copy %s to where you keep the keyring, apart from the database.",
		r.ring.ActiveID(), count(int64(n), "company was", "companies were"), r.config.KeyringFile), nil
}

func total(under map[string]int) (n int) {
	for _, m := range under {
		n += m
	}
	return n
}

// add is the first step: a key that reads only.
func (r *rotation) add() error {
	next, _, err := r.ring.AddNext(nil)
	if err != nil {
		return err
	}
	return r.replace(next)
}

// activate lets the new key write. The database knows it first: a server that
// starts in between has it already, as a key that reads.
func (r *rotation) activate(ctx context.Context) error {
	k, ok := r.keyOf(keyNext)
	if !ok {
		return say(authn.Conflict, "there is no new key")
	}
	next, err := r.ring.Activate(k.ID)
	if err != nil {
		return err
	}
	if err := r.store.NoteKeyring(ctx, next); err != nil {
		return err
	}
	return r.replace(next)
}

// rewrap moves the companies.
func (r *rotation) rewrap(ctx context.Context) (int, error) {
	return r.store.RewrapKeys(ctx, r.ring, authn.Event{Type: "company_key.rewrapped", Actor: directory.Operator, Result: authn.Succeeded, At: time.Now(),
		Personal: authn.Personal{Detail: map[string]string{"under": r.ring.ActiveID()}}})
}

// retire takes out the keys that only read. The database forgets them first, and
// only if no company needs them: then no server can write under them any more.
func (r *rotation) retire(ctx context.Context) (string, error) {
	next := r.ring
	var gone []string
	for _, k := range r.ring.Infos() {
		if k.State != keyPrevious {
			continue
		}
		var err error
		if next, err = next.Remove(k.ID); err != nil {
			return "", err
		}
		gone = append(gone, k.ID)
	}
	if len(gone) == 0 {
		return "", say(authn.Conflict, "there is no old key to take out")
	}
	if err := r.store.RetireKeys(ctx, next); err != nil {
		return "", err
	}
	if err := r.replace(next); err != nil {
		return "", err
	}
	return strings.Join(gone, ", ") + " are out of the file. Backups of the database from before the rotation cannot be opened with it.", nil
}
