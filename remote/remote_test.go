package remote_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/remote"
)

// service answers as it is told.
type service struct {
	authn.Remote
	follow func(ctx context.Context) (authn.Answered, error)
}

func (s service) Follow(ctx context.Context, _ authn.Request, _ authn.Started, note func(string)) (authn.Answered, error) {
	note("Pushed a login request to your device...")
	return s.follow(ctx)
}

// run follows one answer to its end.
func run(t *testing.T, r *remote.Runner, st authn.Started, follow func(context.Context) (authn.Answered, error)) (authn.Answered, bool) {
	t.Helper()
	got := make(chan authn.Answered, 1)
	if !r.Follow(service{follow: follow}, authn.Request{}, st, func(ctx context.Context, a authn.Answered) {
		if ctx.Err() != nil {
			t.Error("the answer cannot be written down any more")
		}
		got <- a
	}) {
		return authn.Answered{}, false
	}
	return <-got, true
}

// Nothing but a plain yes is an approval (ruling 33).
func TestFollow_rul33(t *testing.T) {
	for name, tt := range map[string]struct {
		follow func(context.Context) (authn.Answered, error)
		want   authn.Answered
	}{
		"approved": {func(context.Context) (authn.Answered, error) { return authn.Answered{Approved: true, AMR: "pop"}, nil }, authn.Answered{Approved: true, AMR: "pop"}},
		"denied": {func(context.Context) (authn.Answered, error) {
			return authn.Answered{Reason: "denied", Message: "Login request denied."}, nil
		}, authn.Answered{Reason: "denied", Message: "Login request denied."}},
		"no reason": {func(context.Context) (authn.Answered, error) { return authn.Answered{}, nil }, authn.Answered{Reason: "failed"}},
		"an error": {func(context.Context) (authn.Answered, error) {
			return authn.Answered{Approved: true}, errors.New("down")
		}, authn.Answered{Reason: "failed"}},
		"a panic": {func(context.Context) (authn.Answered, error) { panic("what is this") }, authn.Answered{Reason: "failed"}},
		"nobody answers": {func(ctx context.Context) (authn.Answered, error) {
			<-ctx.Done()
			return authn.Answered{}, ctx.Err()
		}, authn.Answered{Reason: "timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r remote.Runner
				start := time.Now()
				got, ok := run(t, &r, authn.Started{Lives: 30 * time.Second}, tt.follow)
				if !ok || !reflect.DeepEqual(got, tt.want) {
					t.Errorf("%+v, want %+v", got, tt.want)
				}
				if took := time.Since(start); took > 30*time.Second {
					t.Errorf("it took %v", took)
				}
				synctest.Wait()
			})
		})
	}
}

// A service that names no end, or one far away, is not waited for longer than the bound.
func TestFollowIsBounded(t *testing.T) {
	for lives, want := range map[time.Duration]time.Duration{0: time.Minute, time.Hour: remote.MaxLives} {
		synctest.Test(t, func(t *testing.T) {
			var r remote.Runner
			start := time.Now()
			got, _ := run(t, &r, authn.Started{Lives: lives}, func(ctx context.Context) (authn.Answered, error) { <-ctx.Done(); return authn.Answered{}, ctx.Err() })
			if got.Reason != "timeout" || time.Since(start) != want {
				t.Errorf("%v: %+v after %v", lives, got, time.Since(start))
			}
			synctest.Wait()
		})
	}
}

// What nobody answered when the server stops is not approved, and is written down.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r remote.Runner
		var written atomic.Int32
		for range 10 {
			r.Follow(service{follow: func(ctx context.Context) (authn.Answered, error) { <-ctx.Done(); return authn.Answered{}, ctx.Err() }},
				authn.Request{}, authn.Started{}, func(_ context.Context, a authn.Answered) {
					if a.Approved {
						t.Error("approved by stopping")
					}
					written.Add(1)
				})
		}
		start := time.Now()
		r.Close()
		if written.Load() != 10 || time.Since(start) > remote.StoppedIn {
			t.Errorf("%d written after %v", written.Load(), time.Since(start))
		}
		if _, ok := run(t, &r, authn.Started{}, nil); ok {
			t.Error("it follows after Close")
		}
		r.Close()
		synctest.Wait()
	})
}

func TestDetail(t *testing.T) {
	d := remote.Detail{Options: []authn.Option{{ID: "push:DP1", Way: "push", Device: "iPhone", Ends: "42"}}, Code: true, Reference: "tx"}
	c := authn.Challenge{Detail: d.Encode()}
	if got := remote.Read(c); !reflect.DeepEqual(got, d) {
		t.Errorf("%+v", got)
	}
	for _, broken := range []string{"", "{", "[]", `{"options": 3}`, strings.Repeat("x", 1000)} {
		if got := remote.Read(authn.Challenge{Detail: []byte(broken)}); !reflect.DeepEqual(got, remote.Detail{}) {
			t.Errorf("%q: %+v", broken, got)
		}
	}
}

// Which challenge counts: the newest of the factor for the page, an approval for a proof.
func TestLastAndApproval_rul14(t *testing.T) {
	c := func(id, factor string, o authn.Outside) authn.Challenge {
		return authn.Challenge{ID: id, Factor: factor, Outcome: o}
	}
	sent := []authn.Challenge{c("1", "fac_1", authn.Approved), c("2", "fac_1", authn.Waiting), c("3", "fac_2", authn.Approved), c("4", "fac_1", authn.NotOutside)}
	if got := remote.Last(sent, "fac_1"); got == nil || got.ID != "2" {
		t.Errorf("last: %+v", got)
	}
	if got := remote.Approval(sent, "fac_1"); got == nil || got.ID != "1" {
		t.Errorf("approval: %+v", got)
	}
	if remote.Last(sent, "fac_3") != nil || remote.Approval(sent, "fac_3") != nil || remote.Approval(sent[1:2], "fac_1") != nil {
		t.Error("something of nobody")
	}
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	began := remote.Began(c("5", "fac_1", authn.Asked), authn.Started{Reference: "tx", Way: "push", Waits: true, Lives: time.Hour}, now)
	if began.Outcome != authn.Waiting || !began.ExpiresAt.Equal(now.Add(remote.MaxLives)) {
		t.Errorf("%+v", began)
	}
	if sms := remote.Began(began, authn.Started{Way: "sms"}, now); sms.Outcome != authn.Passcode {
		t.Errorf("%+v", sms)
	}
	yes := remote.Ended(began, authn.Answered{Approved: true, Reason: "odd", AMR: "pop"}, now)
	if d := remote.Read(yes); yes.Outcome != authn.Approved || d.Reason != "" || d.AMR != "pop" || d.Reference != "tx" || !yes.ExpiresAt.Equal(now.Add(remote.ApprovalLives)) {
		t.Errorf("%+v %+v", yes, d)
	}
	no := remote.Ended(began, authn.Answered{Reason: "fraud"}, now)
	if no.Outcome != authn.Refusal || remote.Read(no).Reason != "fraud" || !no.ExpiresAt.Equal(began.ExpiresAt) {
		t.Errorf("%+v", no)
	}
	if f := remote.Failed(began, "unavailable"); f.Outcome != authn.Refusal || remote.Read(f).Reason != "unavailable" {
		t.Errorf("%+v", f)
	}
}
