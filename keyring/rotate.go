package keyring

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// change returns a keyring with edited copies of the keys; this one stays as it is.
func (k *Keyring) change(edit func([]*rootKey) []*rootKey) (*Keyring, error) {
	keys := make([]*rootKey, len(k.s.keys))
	for i, old := range k.s.keys {
		keys[i] = &rootKey{raw: old.raw, created: old.created, state: old.state, secret: old.secret}
	}
	return assemble(edit(keys))
}

// AddNext returns this keyring with one new key from r (nil means crypto/rand) that reads but does not write yet, and its id. Give the
// result to every node before Activate; a node without the key could not read what another one writes.
func (k *Keyring) AddNext(r io.Reader) (next *Keyring, id string, err error) {
	key, err := newRootKey(r, stateNext)
	if err != nil {
		return nil, "", err
	}
	next, err = k.change(func(keys []*rootKey) []*rootKey { return append(keys, key) })
	return next, key.id, err
}

// Activate returns this keyring with another key writing; the one that wrote until now becomes "previous" and still reads.
func (k *Keyring) Activate(id string) (*Keyring, error) {
	if !slices.Contains(k.IDs(), id) {
		return nil, fmt.Errorf("%w: no such key to activate", ErrMissingKey)
	}
	return k.change(func(keys []*rootKey) []*rootKey {
		for _, key := range keys {
			switch {
			case key.raw.text(prefixRoot) == id:
				key.state = stateActive
			case key.state == stateActive:
				key.state = statePrevious
			}
		}
		return keys
	})
}

// Remove returns this keyring without a key that is not active. What is still wrapped under that key, in a row or a backup, is lost.
func (k *Keyring) Remove(id string) (*Keyring, error) {
	switch {
	case !slices.Contains(k.IDs(), id):
		return nil, fmt.Errorf("%w: no such key to remove", ErrMissingKey)
	case id == k.ActiveID():
		return nil, fmt.Errorf("keyring: %s is active; activate another key before removing it", id)
	}
	return k.change(func(keys []*rootKey) []*rootKey {
		return slices.DeleteFunc(keys, func(key *rootKey) bool { return key.raw.text(prefixRoot) == id })
	})
}

// Info is what may be shown of a root key.
type Info struct {
	ID      string
	State   string // "next", "active" or "previous"
	Created time.Time
}

// Infos describes all keys in the order of the file.
func (k *Keyring) Infos() []Info {
	list := make([]Info, len(k.s.keys))
	for i, key := range k.s.keys {
		list[i] = Info{key.id, key.state, key.created}
	}
	return list
}

// Active describes the key that writes.
func (k *Keyring) Active() Info {
	return Info{k.s.active.id, k.s.active.state, k.s.active.created}
}
