package orchard

import (
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sallyport-mfa/sallyport/signin"
)

// Table is the program's user table. Here it is a map; in yours it is whatever you
// have, and the two methods below are two queries.
type Table struct {
	mu     sync.RWMutex
	people map[string]person // by lower-case name
	nobody []byte            // a hash of the same cost, for names that are nobody's
}

type person struct {
	id, login, name, email string
	hash                   []byte
	suspended              bool
	changed                time.Time // when the password was chosen
}

// cost is that of every hash, so that each takes as long as the others.
const cost = bcrypt.DefaultCost

// NewTable makes an empty table.
func NewTable() (*Table, error) {
	nobody, err := bcrypt.GenerateFromPassword([]byte("the password of nobody"), cost)
	return &Table{people: map[string]person{}, nobody: nobody}, err
}

// Add puts a person in. An id is never used again.
func (t *Table) Add(id, login, name, email, password string) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.people[strings.ToLower(login)] = person{id: id, login: login, name: name, email: email, hash: hash, changed: time.Now()}
	return nil
}

// Suspend keeps a person out from their next request on.
func (t *Table) Suspend(login string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p, ok := t.people[strings.ToLower(login)]; ok {
		p.suspended = true
		t.people[strings.ToLower(login)] = p
	}
}

// CheckPassword is of signin.Users. It hashes once, whoever is asked for; Sallyport has
// counted the guess already.
func (t *Table) CheckPassword(_ context.Context, _, login, password string) (signin.HostUser, error) {
	t.mu.RLock()
	p, known := t.people[login] // it comes in lower case
	t.mu.RUnlock()
	hash := t.nobody
	if known {
		hash = p.hash
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !known {
		return signin.HostUser{}, signin.ErrNobody
	}
	return p.tell(), nil
}

// User is of signin.Users: asked at each request of somebody who is signed in.
func (t *Table) User(_ context.Context, _, id string) (signin.HostUser, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, p := range t.people { // yours is a look-up by key
		if p.id == id {
			return p.tell(), nil
		}
	}
	return signin.HostUser{}, signin.ErrNobody
}

func (p person) tell() signin.HostUser {
	return signin.HostUser{ID: p.id, Login: p.login, Name: p.name, Email: p.email, EmailVerified: true, Suspended: p.suspended, PasswordChangedAt: p.changed}
}
