package sallyporttest

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/internal/duoserver"
)

// The pretend Duo that the demo runs too, under the names that tests know.
type (
	// DuoConfig sets a DuoServer. Every field may be left zero.
	DuoConfig = duoserver.Config
	// DuoServer pretends to be Duo's Auth API v2.
	DuoServer = duoserver.Server
	// DuoUser is a person as Duo knows them.
	DuoUser = duoserver.User
	// DuoDevice is one device of a DuoUser.
	DuoDevice = duoserver.Device
	// DuoPush is a push or a call that somebody has to answer.
	DuoPush = duoserver.Push
	// DuoText is a text message with passcodes.
	DuoText = duoserver.Text
	// DuoCall is one request that passed every check.
	DuoCall = duoserver.Call
	// DuoFault is what a path answers instead of, or before, the usual.
	DuoFault = duoserver.Fault
)

// The keys and the host of a DuoServer whose configuration names none.
const (
	DuoIKey = duoserver.IKey
	DuoSKey = duoserver.SKey
	DuoHost = duoserver.Host
)

// NewDuoServer makes a server without people, which listens nowhere.
func NewDuoServer(c DuoConfig) *DuoServer { return duoserver.New(c) }

// DuoPhone is a phone with everything.
func DuoPhone(id string) DuoDevice { return duoserver.Phone(id) }

// Duo is a DuoServer that listens for a test. What it is asked of somebody waits until
// ApprovePush or DenyPush; the server that asks hears of that a moment later.
type Duo struct {
	*DuoServer
	HTTP *httptest.Server
}

// NewDuo starts a DuoServer for a test. The links to its portal lead to itself.
func NewDuo(t testing.TB, c DuoConfig) *Duo {
	t.Helper()
	h := httptest.NewUnstartedServer(nil)
	if c.Portal == "" {
		c.Portal = "http://" + h.Listener.Addr().String() + "/portal?code="
	}
	d := &Duo{NewDuoServer(c), h}
	h.Config.Handler = d.DuoServer
	h.Start()
	t.Cleanup(h.Close)
	return d
}

// Base leads every host to this server; for the Config of method/duo.
func (d *Duo) Base(string) string { return d.HTTP.URL }

// ApprovePush is the yes of a person whom Duo asks, by a push or a call. It fails the
// test if Duo asks them nothing.
func (d *Duo) ApprovePush(t testing.TB, username string) {
	t.Helper()
	d.press(t, username, d.Approve)
}

// DenyPush is their no.
func (d *Duo) DenyPush(t testing.TB, username string) {
	t.Helper()
	d.press(t, username, d.Deny)
}

func (d *Duo) press(t testing.TB, username string, button func(txid string) error) {
	t.Helper()
	for _, p := range slices.Backward(d.Pushes()) {
		if strings.EqualFold(p.Username, username) && p.Result == "waiting" {
			if err := button(p.TxID); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("Duo asks %s nothing", username)
}
