package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Exemption is somebody or something that signs in, or acts, with less than policy
// asks of people.
type Exemption struct {
	Kind     string // "api_account", "person" or "key" (one that acts unattended)
	ID       string // of the user or the key
	Name     string // login of the user, or name of the key
	Owner    string // login of who answers for it; a person for themselves
	Reason   string // of a key: the acts
	By       string // login of who said so, or "operator"; empty: not known
	Until    time.Time
	Networks string // empty: everywhere
	LastUsed time.Time
	From     string // network of the last use
}

// Exemptions lists all of them: API accounts, people, keys; next is what the next
// page begins after, empty at the end. At most 200 a page, 50 if limit is 0.
//
// Errors: those of Check; Invalid (field cursor).
func (s *Service) Exemptions(ctx context.Context, w Who, after string, limit int) (list []Exemption, next string, err error) {
	seen, err := s.Check(ctx, w, ReportsRead)
	if err != nil {
		return nil, "", err
	}
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 200)
	kind, id, good := strings.Cut(after, ".")
	if after == "" {
		kind, good = "api_account", true
	}
	prefix := map[string]string{"api_account": authn.UserID, "person": authn.UserID, "key": authn.KeyID}[kind]
	if !good || prefix == "" || id != "" && !authn.CheckID(prefix, id) {
		return nil, "", authn.InvalidField("cursor", "invalid", nil)
	}
	sections := []struct {
		kind string
		list func(after string, limit int) ([]Exemption, error)
	}{
		{"api_account", func(after string, limit int) ([]Exemption, error) {
			return s.exemptAccounts(ctx, seen.Company.ID, after, limit)
		}},
		{"person", func(after string, limit int) ([]Exemption, error) {
			return s.exemptPeople(ctx, seen.Company.ID, after, limit)
		}},
		{"key", func(after string, limit int) ([]Exemption, error) {
			return s.exemptKeys(ctx, seen.Company.ID, after, limit)
		}},
	}
	begun := false
	for _, section := range sections {
		if begun = begun || section.kind == kind; !begun {
			continue
		}
		from := ""
		if section.kind == kind {
			from = id
		}
		part, err := section.list(from, limit-len(list))
		if err != nil {
			return nil, "", fmt.Errorf("directory: exemptions: %w", err)
		}
		if list = append(list, part...); len(list) >= limit {
			last := list[len(list)-1]
			next = last.Kind + "." + last.ID
			break
		}
	}
	var ids []string
	for _, e := range list {
		ids = append(ids, e.Name, e.Owner, e.By)
	}
	names, err := s.Logins(ctx, seen.Company, ids)
	if err != nil {
		return nil, "", err
	}
	for i, e := range list {
		if list[i].Owner, list[i].By = names[e.Owner], names[e.By]; e.Kind != "key" {
			list[i].Name = names[e.Name]
		}
	}
	return list, next, nil
}

func (s *Service) exemptAccounts(ctx context.Context, company, after string, limit int) ([]Exemption, error) {
	rows, err := s.c.Store.APIAccounts(ctx, company, after, limit)
	if err != nil {
		return nil, err
	}
	var list []Exemption
	for _, a := range rows {
		list = append(list, Exemption{Kind: "api_account", ID: a.User, Name: a.User, Owner: a.Owner, Reason: a.Reason,
			By: a.CreatedBy, Until: a.ExpiresAt, Networks: joinNetworks(a.Networks), LastUsed: a.LastUsedAt, From: a.UsedFrom})
	}
	return list, nil
}

func (s *Service) exemptPeople(ctx context.Context, company, after string, limit int) ([]Exemption, error) {
	rows, err := s.c.Store.Exempted(ctx, company, after, s.c.Now(), limit)
	if err != nil {
		return nil, err
	}
	var list []Exemption
	for _, u := range rows {
		list = append(list, Exemption{Kind: "person", ID: u.ID, Name: u.ID, Owner: u.ID, Reason: u.ExemptReason, By: u.ExemptBy,
			Until: u.ExemptUntil, LastUsed: u.LastSignInAt})
	}
	return list, nil
}

func (s *Service) exemptKeys(ctx context.Context, company, after string, limit int) ([]Exemption, error) {
	rows, err := s.c.Store.Unattended(ctx, company, after, limit)
	if err != nil {
		return nil, err
	}
	var list []Exemption
	for _, k := range rows {
		list = append(list, Exemption{Kind: "key", ID: k.ID, Name: k.Name, Owner: k.User, Reason: strings.Join(k.Unattended, " "), By: k.MadeBy,
			Until: k.ExpiresAt, Networks: joinNetworks(k.Networks), LastUsed: k.LastUsedAt, From: k.UsedFrom})
	}
	return list, nil
}

// Logins finds the logins of people by their ids. "operator" stays as it is, and so
// does the id of somebody who is gone.
//
// Errors: Busy, Internal.
func (s *Service) Logins(ctx context.Context, company authn.Company, ids []string) (map[string]string, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	names, err := s.c.Store.Logins(ctx, company.ID, ids)
	if err != nil {
		return nil, fmt.Errorf("directory: logins: %w", err)
	}
	for _, id := range ids {
		if _, ok := names[id]; !ok {
			names[id] = id
		}
	}
	return names, nil
}
