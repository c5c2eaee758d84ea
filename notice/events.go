package notice

import (
	"strconv"

	"github.com/sallyport-mfa/sallyport/authn"
)

// The templates.
const (
	NewBrowser     authn.Template = "new_browser"
	MethodOn       authn.Template = "method_on"
	MethodAgain    authn.Template = "method_again"
	MethodReplaced authn.Template = "method_replaced"
	MethodOff      authn.Template = "method_off"
	MethodLocked   authn.Template = "method_locked"
	MethodsReset   authn.Template = "methods_reset"
	// PasskeyCopied: a passkey counted back, as a copy of it does.
	PasskeyCopied        authn.Template = "passkey_copied"
	PasswordChanged      authn.Template = "password_changed"
	PasswordSet          authn.Template = "password_set"
	PasswordKnown        authn.Template = "password_known"
	PasswordReset        authn.Template = "password_reset"
	EmailChanged         authn.Template = "email_changed"
	PhoneChanged         authn.Template = "phone_changed"
	BackupCodesMade      authn.Template = "backup_codes_made"
	BackupCodeUsed       authn.Template = "backup_code_used"
	HelpCodeIssued       authn.Template = "help_code_issued"
	HelpCodeUsed         authn.Template = "help_code_used"
	ManyWrong            authn.Template = "many_wrong"
	Secured              authn.Template = "secured"
	HelpAsked            authn.Template = "help_asked"
	TwoFactorRequired    authn.Template = "two_factor_required"
	TwoFactorNotRequired authn.Template = "two_factor_not_required"
	InvitationAccepted   authn.Template = "invitation_accepted"
	// AccountErased is the last one. It goes to somebody who is not there any more.
	AccountErased authn.Template = "account_erased"
	LoginChanged  authn.Template = "login_changed"
	// TrustAdded: a browser is trusted from now on; TrustReused: a copy of what it
	// showed was used, and it is trusted no more.
	TrustAdded   authn.Template = "trust_added"
	TrustReused  authn.Template = "trust_reused"
	RolesChanged authn.Template = "roles_changed"
	// SetUpReminder: policy demands a way of their own, and an administrator reminds.
	SetUpReminder authn.Template = "set_up_reminder"
	// AccountChanged: an administrator did something about the person; the texts are
	// those of the event's type.
	AccountChanged authn.Template = "account_changed"
	// ApprovalAsked, ApprovalGiven and ApprovalCancelled: what is to be done about
	// somebody who has administrative rights (ruling 17).
	ApprovalAsked     authn.Template = "approval_asked"
	ApprovalGiven     authn.Template = "approval_given"
	ApprovalCancelled authn.Template = "approval_cancelled"

	// For administrators and owners; Letter.User is the person it is about.
	HelpAskedAdmin  authn.Template = "help_asked_admin"
	SecuredAdmin    authn.Template = "secured_admin"
	ProviderChanged authn.Template = "provider_changed"
	// TextsWarning and TextsStopped: a budget of texts is nearly used up, or none are
	// sent (requirement B3).
	TextsWarning authn.Template = "texts_warning"
	TextsStopped authn.Template = "texts_stopped"
	// ApprovalWaits: such an act waits for a second person.
	ApprovalWaits authn.Template = "approval_waits"
	// PolicyChanged: a policy asks for less than before (ruling 25).
	PolicyChanged authn.Template = "policy_changed"
	// PolicySoon: one that is to come asks more of its reader.
	PolicySoon authn.Template = "policy_soon"
	// KeyEnds: a key or an API account ends soon; KeyMade: there is a key that acts for
	// the reader, or it has another token, another name, or was taken away.
	KeyEnds authn.Template = "key_ends"
	KeyMade authn.Template = "key_made"
	// APIOn and APIOff: the reader's account is a program's from now on, or no more.
	APIOn  authn.Template = "api_on"
	APIOff authn.Template = "api_off"
	// CompanyRecovered: the operator let an owner in again (requirement H6).
	CompanyRecovered authn.Template = "company_recovered"

	Code       authn.Template = "code"         // to sign in
	CodeSetup  authn.Template = "code_setup"   // to turn on a way to verify
	CodeStepUp authn.Template = "code_step_up" // to confirm a sensitive act
	CodeEmail  authn.Template = "code_email"   // to confirm a new address
	CodeReset  authn.Template = "code_reset"   // to choose a password in place of a forgotten one
	Invitation authn.Template = "invitation"
	OwnerLink  authn.Template = "owner_link"
	Test       authn.Template = "test" // of a provider
)

// told is what is sent about an event to its target.
type told struct {
	template authn.Template
	refused  bool // an event of this type is a refusal by nature
	anybody  bool // concerns a company, not one person: it goes to the owners
}

// events is rule 50 of ux.md, as far as there are events for it. A refusal
// changes nothing, so that nobody is told of one; the exceptions say so.
var events = map[string]told{
	"session.new_browser":          {template: NewBrowser},
	"factor.confirmed":             {template: MethodOn},
	"factor.replaced":              {template: MethodReplaced},
	"factor.confirmed_again":       {template: MethodAgain},
	"factor.removed":               {template: MethodOff},
	"factor.locked":                {template: MethodLocked, refused: true},
	"factor.refused":               {template: ManyWrong, refused: true}, // at some counts only
	"factors.reset":                {template: MethodsReset},
	"passkey.counter_back":         {template: PasskeyCopied},
	"trusted_browser.added":        {template: TrustAdded},
	"trusted_browser.reused":       {template: TrustReused, refused: true},
	"password.changed":             {template: PasswordChanged},
	"password.reset":               {template: PasswordReset},
	"password.set_by_operator":     {template: PasswordSet},
	"password.known_to_others":     {template: PasswordKnown, refused: true},
	"email.changed":                {template: EmailChanged},
	"phone.changed":                {template: PhoneChanged},
	"backup_codes.made":            {template: BackupCodesMade},
	"backup_code.used":             {template: BackupCodeUsed},
	"bypass_code.issued":           {template: HelpCodeIssued},
	"bypass_code.used":             {template: HelpCodeUsed},
	"account.secured":              {template: Secured},
	"help.asked":                   {template: HelpAsked},
	"user.two_factor_required":     {template: TwoFactorRequired},
	"user.two_factor_not_required": {template: TwoFactorNotRequired},
	"invitation.accepted":          {template: InvitationAccepted},
	"login.changed":                {template: LoginChanged},
	"user.roles_changed":           {template: RolesChanged},
	"user.suspended":               {template: AccountChanged},
	"user.activated":               {template: AccountChanged},
	"user.left":                    {template: AccountChanged},
	"user.signed_out":              {template: AccountChanged},
	"user.unlocked":                {template: AccountChanged},
	"user.exempted":                {template: AccountChanged},
	"user.exemption_ended":         {template: AccountChanged},
	"factor.disabled":              {template: AccountChanged},
	"factor.enabled":               {template: AccountChanged},
	"factor.preferred_for":         {template: AccountChanged},
	"factor.prepared":              {template: AccountChanged},
	"factor.handed_over":           {template: AccountChanged},
	"approval.asked":               {template: ApprovalAsked},
	"approval.given":               {template: ApprovalGiven},
	"approval.cancelled":           {template: ApprovalCancelled},
	"provider.changed":             {template: ProviderChanged, anybody: true},
	"key.created":                  {template: KeyMade},
	"key.rolled":                   {template: KeyMade},
	"key.renamed":                  {template: KeyMade},
	"key.removed":                  {template: KeyMade},
	"return_address.added":         {template: KeyMade},
	"return_address.removed":       {template: KeyMade},
	"user.name_changed":            {template: AccountChanged},
	"user.locale_changed":          {template: AccountChanged},
	"user.audience_changed":        {template: AccountChanged},
	"user.exported":                {template: AccountChanged},
	"api_account.on":               {template: APIOn},
	"api_account.off":              {template: APIOff},
}

// manyWrong are the counts of wrong codes in a row at which the person is told:
// soon, and once more when it goes on. Each refusal would be a way to flood.
var manyWrong = map[string]bool{"3": true, "10": true}

// For is the message that an event sends to the person it is about, or in the
// case of [ProviderChanged] to the owners; false if none.
func For(ev authn.Event) (authn.Template, bool) {
	t, ok := events[ev.Type]
	if !ok || ev.Target == "" && !t.anybody || ev.Result == authn.Refused && !t.refused {
		return "", false
	}
	if t.template == ManyWrong {
		// A wrong password at a confirmation, or a code used twice, is not a
		// stranger who knows the password.
		reason := ev.Personal.Detail["reason"]
		if !manyWrong[ev.Personal.Detail["tries"]] || reason != "" && reason != string(authn.WrongCode) {
			return "", false
		}
	}
	return t.template, true
}

// operator is the actor of what was done from the command line.
const operator = "operator"

// carried are the details of an event that its letter shows.
var carried = []string{"method", "called", "left", "tries", "variant"}

// Args is what a letter about an event needs to be written: Letter.Args. The
// browser and network of somebody else who acted are not told.
func Args(ev authn.Event) map[string]string {
	args := map[string]string{}
	for _, name := range carried {
		if v := ev.Personal.Detail[name]; v != "" {
			args[name] = v
		}
	}
	switch ev.Actor {
	case "", ev.Target:
		args["agent"], args["address"] = ev.Personal.Agent, ev.Personal.Address
	case operator:
		args["by"] = "operator"
	default:
		args["by"] = "admin"
	}
	return args
}

// shape is what a message has besides its texts.
type shape struct {
	code   bool   // derived from Letter.Seed
	link   string // folder of the link that the message is for
	wasnt  bool   // says what to do if it wasn't you
	admin  bool   // Letter.User is somebody else than the reader
	plural string // the argument that is the Count of the body
	choose string // the argument that chooses among subjects, titles and bodies; empty: "variant"
	sms    bool   // can also go as a text message
	from   bool   // tells of what begins at the argument "from", RFC 3339, which is the When of the body
	names  string // the fact that Args["name"] is; empty: who did it
	why    bool   // shows the reason that whoever acted gave
}

// unexplained are the events whose letters leave the reason out. A mailbox may be in
// other hands, and of these acts that is often the reason: it would tell who is there
// that they were noticed.
var unexplained = map[string]bool{"user.suspended": true, "user.left": true, "user.signed_out": true}

// Two templates about an administrator's act show no reason. HelpCodeIssued: it says
// how a caller was checked, while the code still opens something. EmailChanged goes
// to the address before, which may be somebody else's now.
var shapes = map[authn.Template]shape{
	NewBrowser:           {wasnt: true},
	MethodOn:             {wasnt: true, choose: "method"},
	MethodReplaced:       {wasnt: true},
	MethodAgain:          {wasnt: true},
	MethodOff:            {wasnt: true, choose: "method"},
	MethodLocked:         {wasnt: true, choose: "method"},
	MethodsReset:         {wasnt: true, choose: "method", why: true},
	PasskeyCopied:        {wasnt: true},
	PasswordChanged:      {wasnt: true},
	PasswordSet:          {wasnt: true},
	PasswordKnown:        {wasnt: true},
	PasswordReset:        {wasnt: true, sms: true},
	EmailChanged:         {wasnt: true},
	PhoneChanged:         {wasnt: true, why: true},
	BackupCodesMade:      {wasnt: true},
	BackupCodeUsed:       {wasnt: true, plural: "left"},
	HelpCodeIssued:       {wasnt: true},
	HelpCodeUsed:         {wasnt: true},
	ManyWrong:            {wasnt: true, choose: "method", plural: "tries"},
	Secured:              {},
	HelpAsked:            {wasnt: true},
	TwoFactorRequired:    {why: true},
	TwoFactorNotRequired: {why: true},
	InvitationAccepted:   {wasnt: true},
	AccountErased:        {},
	LoginChanged:         {wasnt: true, why: true},
	RolesChanged:         {wasnt: true, why: true},
	TrustAdded:           {wasnt: true},
	TrustReused:          {wasnt: true},
	SetUpReminder:        {},
	AccountChanged:       {wasnt: true, choose: "type", why: true},
	ApprovalAsked:        {wasnt: true, why: true},
	ApprovalGiven:        {wasnt: true, why: true},
	ApprovalCancelled:    {wasnt: true, why: true},
	ApprovalWaits:        {admin: true, why: true},
	HelpAskedAdmin:       {admin: true},
	SecuredAdmin:         {admin: true},
	ProviderChanged:      {admin: true, choose: "channel", why: true},
	TextsWarning:         {admin: true, choose: "scope"},
	TextsStopped:         {admin: true, choose: "scope"},
	PolicyChanged:        {admin: true, why: true},
	PolicySoon:           {choose: "days", from: true},
	CompanyRecovered:     {admin: true},
	KeyEnds:              {admin: true, choose: "what", names: "key"},
	KeyMade:              {wasnt: true, names: "key", choose: "type", why: true},
	APIOn:                {why: true},
	APIOff:               {why: true},
	Code:                 {code: true, sms: true},
	CodeSetup:            {code: true, sms: true},
	CodeStepUp:           {code: true, sms: true},
	CodeEmail:            {code: true},
	CodeReset:            {code: true},
	Invitation:           {link: "invitation"},
	OwnerLink:            {link: "invitation"},
	Test:                 {sms: true},
}

// count is an argument that is a number; -1: none.
func count(args map[string]string, name string) int {
	if n, err := strconv.Atoi(args[name]); err == nil && n >= 0 && n < 1_000_000 {
		return n
	}
	return -1
}
