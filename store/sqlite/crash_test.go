package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/store"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
)

// crashDir names the environment variable that makes the test binary the
// process that is killed.
const crashDir = "SALLYPORT_CRASH_DIR"

const crashPeople = 24

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Fprintln(os.Stderr, crashing(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func crashPerson(i int) (user, factor string) {
	return fmt.Sprintf("usr_%d", i), fmt.Sprintf("fac_%d", i)
}

const crashCompany = "cmp_crash"

func openCrash(dir string, exclusive bool) (*store.Store, error) {
	ring, err := keyring.Load(filepath.Join(dir, "keyring"))
	if err != nil {
		return nil, err
	}
	return sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(dir, "s.db"), Keyring: ring, Exclusive: exclusive, Log: slog.New(slog.DiscardHandler)})
}

// crashing accepts codes and counts wrong ones until it is killed, and says so
// on its output after each answer: "r person step" and "w person count".
func crashing(dir string) error {
	s, err := openCrash(dir, true)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for i := range crashPeople {
		go func() {
			user, factor := crashPerson(i)
			k := authn.Keys{Company: crashCompany, User: user, Now: time.Now(), Factor: factor, Charge: authn.GuessFactor}
			for {
				var line string
				err := s.Decide(context.Background(), k, func(r *authn.Rows) authn.Verdict {
					f := r.Charged.Factor
					if i%2 == 0 {
						line = fmt.Sprintf("r %d %d\n", i, f.LastStep+1)
						return authn.Accept(authn.Event{Type: "factor.proved", Target: user, Personal: authn.Personal{Agent: "x"}},
							authn.Settle{Outcome: authn.Right, Step: f.LastStep + 1})
					}
					if !r.Charged.Paid {
						line = ""
						return authn.Accept(authn.Event{Type: "unlocked"}, authn.DeleteFactor{ID: factor}, crashFactor(i))
					}
					line = fmt.Sprintf("w %d %d\n", i, r.Charged.Count.Tries)
					return authn.Refuse(authn.WrongCode, authn.Event{Type: "factor.refused"}, authn.Settle{Outcome: authn.Wrong})
				})
				if err != nil && !errors.Is(err, authn.WrongCode) {
					failed <- err
					return
				}
				os.Stdout.WriteString(line)
			}
		}()
	}
	return <-failed
}

func crashFactor(i int) authn.NewFactor {
	_, factor := crashPerson(i)
	return authn.NewFactor{Factor: authn.Factor{ID: factor, Kind: authn.TOTP, State: authn.Confirmed}, Secret: []byte("seed")}
}

// TestCrash (A4, inv-A): a process that is killed at any moment has lost
// nothing that it had answered. SALLYPORT_CRASH_RUNS says how often.
func TestCrash(t *testing.T) {
	runs := 20
	if n, err := strconv.Atoi(os.Getenv("SALLYPORT_CRASH_RUNS")); err == nil {
		runs = n
	} else if testing.Short() {
		runs = 3
	}
	dir := t.TempDir()
	prepareCrash(t, dir)
	total := 0
	for run := range runs {
		steps, tries, lines := killed(t, dir)
		total += lines
		s, err := openCrash(dir, true)
		if err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
		for i := range crashPeople {
			checkCrashed(t, s, i, steps[i], tries[i])
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d answers, none lost", total)
}

func prepareCrash(t *testing.T, dir string) {
	t.Helper()
	if _, err := keyring.Create(filepath.Join(dir, "keyring"), nil); err != nil {
		t.Fatal(err)
	}
	s, err := openCrash(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	if err := s.CreateCompany(ctx, authn.Company{ID: crashCompany, Slug: "crash"}, authn.Event{Type: "company.created"}); err != nil {
		t.Fatal(err)
	}
	for i := range crashPeople {
		user, _ := crashPerson(i)
		err := s.Decide(ctx, authn.Keys{Company: crashCompany, User: user, Now: time.Now()}, func(*authn.Rows) authn.Verdict {
			return authn.Accept(authn.Event{Type: "user.created"}, authn.NewUser{User: authn.User{ID: user}}, crashFactor(i))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// killed runs the process, kills it after a random number of answers, and
// returns the last answers that it gave. Those of the last moment may be in the
// pipe only; they are read too.
func killed(t *testing.T, dir string) (steps, tries map[int]int64, lines int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	after := 1 + rand.IntN(1500)
	steps, tries = map[int]int64{}, map[int]int64{}
	for in := bufio.NewScanner(out); in.Scan(); {
		var kind string
		var i int
		var n int64
		if _, err := fmt.Sscan(in.Text(), &kind, &i, &n); err != nil {
			break // cut off by the kill
		}
		if kind == "r" {
			steps[i] = n
		} else {
			tries[i] = n
		}
		if lines++; lines == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); lines < after {
		t.Fatalf("ended by itself after %d answers: %v", lines, err)
	}
	return steps, tries, lines
}

func checkCrashed(t *testing.T, s *store.Store, i int, step, tries int64) {
	t.Helper()
	user, factor := crashPerson(i)
	k := authn.Keys{Company: crashCompany, User: user, Now: time.Now(), Factor: factor}
	rows, err := s.View(context.Background(), k)
	if err != nil {
		t.Fatal(err)
	}
	f := rows.Factor(factor)
	// A count that is lower than the last answer is right only after the factor
	// was made anew, and that is after the share was used up.
	got := int64(f.Counts[authn.Stranger].Tries)
	if f.LastStep < step || i%2 == 1 && got < tries && tries < authn.ShareStranger {
		t.Fatalf("person %d: step %d, answered %d; %d tries, answered %d", i, f.LastStep, step, got, tries)
	}
	if step == 0 {
		return
	}
	k.Charge = authn.GuessFactor
	err = s.Decide(context.Background(), k, func(*authn.Rows) authn.Verdict {
		return authn.Accept(authn.Event{Type: "replay"}, authn.Settle{Outcome: authn.Right, Step: step})
	})
	if !errors.Is(err, authn.Internal) {
		t.Fatalf("person %d: step %d is accepted again: %v", i, step, err)
	}
	// The charge of the replay is given back, so that the next run can go on.
	k.Charge = authn.SettleFactor
	if err := s.Decide(context.Background(), k, func(*authn.Rows) authn.Verdict {
		return authn.Accept(authn.Event{Type: "test.reset"}, authn.Settle{Outcome: authn.Right})
	}); err != nil {
		t.Fatal(err)
	}
}
