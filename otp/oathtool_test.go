package otp

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func unixTime(sec int64) time.Time { return time.Unix(sec, 0) }

// TestAgainstOathtool compares codes with an implementation that is not ours, for
// random keys, parameters and times.
func TestAgainstOathtool(t *testing.T) {
	tool, err := exec.LookPath("oathtool")
	if err != nil {
		if strings.Contains(os.Getenv("SALLYPORT_TEST_REQUIRE"), "oathtool") {
			t.Fatal("oathtool is required but not installed: apt-get install oathtool")
		}
		t.Skip("oathtool is not installed: apt-get install oathtool")
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(tool, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("oathtool %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	rng := rand.New(rand.NewPCG(2026, 11))
	for range 60 {
		k := Key{make(Secret, 10+rng.IntN(60)), Params{Algorithm(rng.IntN(3)), 6 + rng.IntN(3), 1 + rng.IntN(300)}}
		for i := range k.Secret {
			k.Secret[i] = byte(rng.Uint32())
		}
		at := unixTime(rng.Int64N(1 << (20 + rng.IntN(16)))) // to the year 3058
		want := run("--totp="+k.Algorithm.String(), "--digits="+fmt.Sprint(k.Digits), fmt.Sprintf("--time-step-size=%ds", k.Period),
			fmt.Sprintf("--now=@%d", at.Unix()), hex.EncodeToString(k.Secret))
		got, err := k.TOTP(at)
		if got != want || err != nil {
			t.Errorf("TOTP %v at %d: %s, %v; oathtool %s", k.Params, at.Unix(), got, err, want)
		}
		if _, r, _ := k.Check(at, 0, -1, want); r != Accepted {
			t.Errorf("TOTP %v at %d: oathtool's code is %v", k.Params, at.Unix(), r)
		}
	}
	for range 20 {
		k := Key{Secret: make(Secret, 20), Params: Params{Digits: 6 + rng.IntN(3)}}
		for i := range k.Secret {
			k.Secret[i] = byte(rng.Uint32())
		}
		counter := uint64(rng.Int64())
		want := run("--hotp", "--base32", "--digits="+fmt.Sprint(k.Digits), "--counter="+fmt.Sprint(counter), k.Secret.Grouped())
		if got, err := k.HOTP(counter); got != want || err != nil {
			t.Errorf("HOTP %d: %s, %v; oathtool %s", counter, got, err, want)
		}
	}
}
