package sallyporttest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/signin"
)

// Users is a host program's user table in memory (sallyport.Config.Users), the same
// for every company, for tests. Its passwords are compared as they are.
type Users struct {
	// Before, if not nil, is asked before each answer: "CheckPassword" or "User", with
	// the name or id. An error is the answer; it may also block until ctx ends, or panic.
	Before func(ctx context.Context, call, of string) error

	mu     sync.Mutex
	people map[string]hostPerson // by id
	asked  []string
}

type hostPerson struct {
	signin.HostUser
	password string
}

// Put adds a person, or changes what the table says of the one with that id. A zero
// PasswordChangedAt is the beginning of 2026.
func (u *Users) Put(p signin.HostUser, password string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p.PasswordChangedAt.IsZero() {
		p.PasswordChangedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if u.people == nil {
		u.people = map[string]hostPerson{}
	}
	u.people[p.ID] = hostPerson{p, password}
}

// PutAs makes the table give p whoever asks for the person of an id: a table that says
// different things.
func (u *Users) PutAs(id string, p signin.HostUser) {
	u.Put(p, "")
	u.mu.Lock()
	defer u.mu.Unlock()
	u.people[id] = u.people[p.ID]
}

// Remove takes a person out of the table.
func (u *Users) Remove(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.people, id)
}

// Asked are the names and ids that were asked for since the last time.
func (u *Users) Asked() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := u.asked
	u.asked = nil
	return list
}

func (u *Users) before(ctx context.Context, call, of string) error {
	u.mu.Lock()
	u.asked = append(u.asked, of)
	u.mu.Unlock()
	if u.Before == nil {
		return nil
	}
	return u.Before(ctx, call, of)
}

// CheckPassword is of signin.Users.
func (u *Users) CheckPassword(ctx context.Context, company, login, password string) (signin.HostUser, error) {
	if company == "" {
		return signin.HostUser{}, errors.New("no company was named")
	}
	if err := u.before(ctx, "CheckPassword", login); err != nil {
		return signin.HostUser{}, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, p := range u.people {
		name, _ := authn.CanonicalLogin(p.Login)
		address, _ := authn.CanonicalLogin(p.Email)
		if login != "" && (login == name || login == address) && p.password == password {
			return p.HostUser, nil
		}
	}
	return signin.HostUser{}, signin.ErrNobody
}

// User is of signin.Users.
func (u *Users) User(ctx context.Context, company, id string) (signin.HostUser, error) {
	if err := u.before(ctx, "User", id); err != nil {
		return signin.HostUser{}, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	p, ok := u.people[id]
	if !ok {
		return signin.HostUser{}, signin.ErrNobody
	}
	return p.HostUser, nil
}
