package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
)

// AMRTrusted is what a session shows that a trusted browser opened. RFC 8176 has no
// value for that, and lets parties agree on one of their own (section 2).
const AMRTrusted = "trusted_browser"

// AMRCaller is what a sign-in shows whose first step a program has checked (ruling 22).
const AMRCaller = "caller"

// amr maps kinds to the values of RFC 8176 section 2. A code by e-mail travels
// by a channel of its own, and shows nothing that the person has; so does a link
// that an administrator gave, which is why putting off set-up after one leaves a
// session that showed as much as one after a code.
var amr = map[authn.Kind]string{
	authn.Password:   "pwd",
	authn.TOTP:       "otp",
	authn.BackupCode: "otp",
	authn.SMS:        "sms",
	authn.Duo:        "pop", // of the key in its app; a call or a passcode says so in the proof
	authn.Email:      "mca",
	authn.Invitation: "mca",
	authn.Trusted:    AMRTrusted,
	authn.Asserted:   AMRCaller,
}

// Level computes acr and amr from proofs of one ceremony. aal2 takes something
// known and something had, or a device that made sure who holds it; nothing here is
// ever more, since a passkey that is synced can be copied (std-29); e-mail is never possession (decision 4, std-27), and
// what a code from an administrator opened stays aal1 (ruling 18).
func Level(proofs []authn.Proof) (acr string, methods []string) {
	var knows, has, bypass bool
	for _, p := range proofs {
		knows = knows || p.Traits.Knowledge || p.Traits.UserVerified
		has = has || p.Traits.Possession
		bypass = bypass || p.Kind == authn.BypassCode
		for _, v := range strings.Fields(cmp.Or(p.AMR, amr[p.Kind])) {
			if !slices.Contains(methods, v) {
				methods = append(methods, v)
			}
		}
	}
	if knows && has && !bypass {
		return authn.AAL2, methods
	}
	return authn.AAL1, methods
}
