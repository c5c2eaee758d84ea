package policy

import "github.com/sallyport-mfa/sallyport/authn"

// Preset is a document to begin with. Its texts are the catalogue's "preset." +
// Name + ".title" and ".about".
type Preset struct {
	Name     string
	Document Document
}

// Presets are the documents that a company can begin with: a plain one, two that
// follow a standard, and one for each set-up of section L of the requirements.
//
// What a server does not have it does not offer: passkeys, at an address that browsers
// have none for. Roles that a company does not have yet (agent) do no harm.
func Presets() []Preset {
	both := []authn.Audience{authn.InternalAudience, authn.ExternalAudience}
	staff := both[:1]
	app := []authn.Kind{authn.TOTP, authn.BackupCode}
	return []Preset{
		{"plain", Default()},
		// PCI DSS 4.0.1, requirement 8. What 8.2.6 (accounts not used for 90 days) and
		// the letters and digits of 8.3.6 ask is no policy of signing in; the latter
		// NIST SP 800-63B-4 section 3.1.1.2 forbids (std-3).
		{"pci_dss_8", Document{
			Format: 1, TwoFactor: Required, OwnWay: both, // 8.4.2, 8.4.3: all access, by everybody
			Methods:        []authn.Kind{authn.TOTP, authn.Duo, authn.WebAuthn, authn.BackupCode}, // 8.5.1: what is had, not replayable; no mailbox
			IdleSeconds:    15 * 60,                                                               // 8.2.8
			FreeTries:      10,                                                                    // 8.3.4: not more than ten
			PauseSeconds:   30 * 60,                                                               // 8.3.4: at least 30 minutes
			PasswordLength: 12,                                                                    // 8.3.6
		}},
		// NIST SP 800-63B-4, AAL2.
		{"nist_aal2", Document{
			Format: 1, TwoFactor: Required, OwnWay: both, // 2.2.1: two factors of everybody; a mailbox is none (3.1.3.1)
			Methods:        []authn.Kind{authn.TOTP, authn.SMS, authn.Duo, authn.WebAuthn, authn.BackupCode}, // 2.2.2: one resists phishing; 3.2.9: SMS not alone
			SessionSeconds: 24 * 3600,                                                                        // 2.2.3
			IdleSeconds:    3600,                                                                             // 2.2.3
			CodeSeconds:    600,                                                                              // 3.1.3.2: at most
		}},
		// L1: people choose the app or text messages themselves; codes to the profile's
		// number do not stand in.
		{"incident", Document{Format: 1, TwoFactor: On, Methods: []authn.Kind{authn.TOTP, authn.SMS, authn.BackupCode}}},
		// L2: the app, for staff and customers apart, and required of single people.
		{"business", Document{Format: 1, TwoFactor: On, Internal: OfferedToThem, External: OfferedToThem, OwnWay: both, Methods: app}},
		// L3: company-wide only; a code stands in at once, and is good for two minutes, as
		// is the sign-in (F4).
		{"network", Document{
			Format: 1, TwoFactor: Required, CompanyWideOnly: true, Methods: []authn.Kind{authn.TOTP, authn.Duo, authn.BackupCode},
			SMSFallback: true, SendAtOnce: true, CodeSeconds: 120, AttemptSeconds: 120,
		}},
		// L4: people switch the app on themselves, and are asked at each sign-in.
		{"cases", Document{Format: 1, TwoFactor: On, Methods: app}},
		// L5: required of administrators and agents; step-up before acts that matter.
		{"chat", Document{
			Format: 1, TwoFactor: On, OwnWay: staff, Methods: app, RequireRoles: []string{"owner", "administrator", "agent"}, StepUpSeconds: 300,
			TrustDays: 30, NoTrustRoles: []string{"owner", "administrator"},
		}},
	}
}
