package leaked

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// RangeTimeout is of one whole question to a service, in which a person waits.
const RangeTimeout = 4 * time.Second

// MaxRange is how much of an answer is read, in bytes: several times what services
// send.
const MaxRange = 512 << 10

// Range asks a service for all hashes that begin with the same five digits, as
// Pwned Passwords and its copies do (k-anonymity).
type Range struct {
	base   string
	client *http.Client
}

// NewRange asks at base, such as https://api.pwnedpasswords.com/range, through
// client, which decides where may be connected to and should read up to MaxRange
// bytes; it is needed.
func NewRange(base string, client *http.Client) (*Range, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("must be an https address without user name and query, such as https://api.pwnedpasswords.com/range")
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Jar = nil
	return &Range{base: strings.TrimRight(base, "/"), client: &own}, nil
}

// Has asks the service. The errors say at which stage it failed, and nothing of
// the question.
func (r *Range) Has(ctx context.Context, password string) (bool, error) {
	sum := hash(password)
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	ctx, cancel := context.WithTimeout(ctx, RangeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/"+digits[:5], nil)
	if err != nil {
		return false, errors.New("leaked: the address of the service cannot be used")
	}
	req.Header.Set("Add-Padding", "true")
	req.Header.Set("User-Agent", "sallyport")
	res, err := r.client.Do(req)
	if err != nil {
		// The error of net/http quotes the address, which ends in part of the hash.
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return false, fmt.Errorf("leaked: the service cannot be asked: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false, fmt.Errorf("leaked: the service answered with status %d", res.StatusCode)
	}
	return find(res, digits[5:])
}

// find reads lines of the rest of a hash, ":" and a count; 0 is padding. An answer
// that is anything else is none, so that not every page of a proxy is a no.
func find(res *http.Response, rest string) (found bool, err error) {
	in := bufio.NewScanner(http.MaxBytesReader(nil, res.Body, MaxRange))
	lines := 0
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		if line == "" {
			continue
		}
		tail, count, ok := strings.Cut(line, ":")
		if !ok || len(tail) != len(rest) || strings.Trim(tail, "0123456789ABCDEFabcdef") != "" || count == "" || strings.Trim(count, "0123456789") != "" {
			return false, errors.New("leaked: the service's answer cannot be read")
		}
		lines++
		if strings.EqualFold(tail, rest) && strings.Trim(count, "0") != "" {
			found = true
		}
	}
	if in.Err() != nil || lines == 0 {
		return false, errors.New("leaked: the service's answer cannot be read to its end")
	}
	return found, nil
}
