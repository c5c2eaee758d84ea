package httpapi_test

import (
	"maps"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// scenes are the examples of single operations: what they need beyond a good
// request of somebody with an app. nil: nothing.
var scenes = passkeyScenes(providerScenes(logoScenes(map[string]scene{
	"branding none":                 nil,
	"branding saved":                branded(""),
	"set_branding saved":            nil,
	"set_branding conflict":         nil,
	"set_branding step_up_required": later(11 * time.Minute),

	"begin need_factor": nil,
	"begin complete":    func(w *world, _ sallyporttest.Person, _ *call) { w.AddUser(w.t, w.Company, "lena", false) },
	"begin trusted": func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["trusted_browser"] = w.trusted(p)
	},
	"begin fallback": func(w *world, _ sallyporttest.Person, _ *call) { w.required("lena", "lena@acme.example") },
	"begin denied":   func(w *world, _ sallyporttest.Person, _ *call) { w.required("omar", "") },
	"begin sms":      nadia,
	"begin sent_at_once": func(w *world, p sallyporttest.Person, c *call) {
		nadia(w, p, c)
		w.SetPolicy(w.t, "acme", func(d *policy.Document) { d.SendAtOnce = true })
	},
	"begin not_sent": func(w *world, p sallyporttest.Person, c *call) {
		nadia(w, p, c)
		w.SetPolicy(w.t, "acme", func(d *policy.Document) { d.SendAtOnce = true })
		w.mail.fails.Store(true)
	},
	"begin duo":               func(w *world, _ sallyporttest.Person, _ *call) { w.duoed("diego") },
	"begin wrong_credentials": nil,
	"begin paused":            wrong(policy.FreeTries, object{"company": "acme", "login": "maya", "password": "not the right one"}),
	"begin too_many_requests": func(w *world, _ sallyporttest.Person, c *call) { w.do(*c).want(201) },

	"attempt need_factor": nil,
	"attempt paused":      wrongCodes,
	"attempt complete":    finish,
	"attempt code_sent": func(w *world, _ sallyporttest.Person, c *call) {
		w.fallback(c)
		w.post(c.path+"/challenge", c.bearer, object{"method": "email"}).want(200)
	},
	"attempt need_enrolment": func(w *world, p sallyporttest.Person, c *call) { w.turn(c)(w.graceful(p)) },
	"attempt expired":        later(15 * time.Minute),
	"attempt waiting":        answered(nil, "", ""),
	"attempt refused":        answered(deny, "methods.0.duo.outcome", "refused"),
	"attempt approved":       answered(approve, "state", "ready"),

	"challenge totp": func(_ *world, p sallyporttest.Person, c *call) { c.body.(object)["factor"] = p.Factor },
	"challenge password": func(w *world, p sallyporttest.Person, c *call) {
		passwordStepUp(w, p, c)
	},
	"challenge email":  func(w *world, _ sallyporttest.Person, c *call) { w.fallback(c) },
	"challenge paused": wrongCodes,
	"challenge locked": locked,
	"challenge send_wait": func(w *world, _ sallyporttest.Person, c *call) {
		w.fallback(c)
		w.do(*c).want(200)
	},
	"challenge message_not_sent": func(w *world, _ sallyporttest.Person, c *call) {
		w.fallback(c)
		w.mail.fails.Store(true)
	},
	"challenge sms":         asNadia,
	"challenge duo_options": asDiego,
	"challenge duo_push":    asDiego,
	"challenge duo_verified": func(w *world, _ sallyporttest.Person, c *call) {
		d := w.duoed("diego")
		u := duoUser("diego")
		u.Verified = true
		w.Duo.AddUser(u)
		w.turn(c)(w.begin(d))
	},
	"challenge duo_passcodes": asDiego,
	"challenge policy_forbids": func(w *world, p sallyporttest.Person, c *call) {
		asNadia(w, p, c)
		w.UseTexts(w.t, w.Company, func(s *authn.TextSettings) { s.Countries = []string{"PL"} })
	},
	"challenge provider_unavailable": func(w *world, p sallyporttest.Person, c *call) {
		asDiego(w, p, c)
		garbled(w)
	},
	"challenge conflict": finish,
	"challenge expired":  later(15 * time.Minute),

	"verify complete": code,
	"verify trusted": func(w *world, p sallyporttest.Person, c *call) {
		w.trusting(w.Company)
		code(w, p, c)
	},
	"verify step_up": func(w *world, p sallyporttest.Person, c *call) {
		stepUpFor(w, w.signIn(p), c)
		code(w, p, c)
		c.body.(object)["factor"] = p.Factor
	},
	"verify step_up_password": passwordStepUp,
	"verify wrong_code": func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["code"] = w.WrongCode(w.t, p.Secret)
	},
	"verify code_used": func(w *world, p sallyporttest.Person, c *call) {
		w.signIn(p)
		c.body.(object)["code"] = w.Code(w.t, p.Secret)
	},
	"verify wrong_credentials": passwordStepUp,
	"verify policy_forbids":    code,
	"verify conflict":          finish,
	"verify paused":            wrongCodes,
	"verify locked": func(w *world, p sallyporttest.Person, c *call) {
		locked(w, p, c)
		code(w, p, c)
	},
	"verify email": func(w *world, _ sallyporttest.Person, c *call) {
		w.fallback(c)
		w.SetTwoFactor(w.t, "acme", policy.Required)
		w.post(strings.Replace(c.path, "/verify", "/challenge", 1), c.bearer, object{"method": "email"}).want(200)
		c.body.(object)["code"] = w.LastCode(w.t, "lena@acme.example")
	},
	"verify backup_code": func(w *world, p sallyporttest.Person, c *call) {
		a := w.post("/api/v1/account/backup-codes", w.signIn(p), object{}).want(201)
		w.turn(c)(w.begin(p))
		c.body.(object)["code"] = a.str("backup_codes.0")
	},
	"verify need_enrolment": func(w *world, p sallyporttest.Person, c *call) {
		code, _, err := w.Directory.BypassCode(w.t.Context(), w.Company, p.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		c.body.(object)["code"] = code
	},
	"verify sms": func(w *world, p sallyporttest.Person, c *call) {
		asNadia(w, p, c)
		w.post(strings.Replace(c.path, "/verify", "/challenge", 1), c.bearer, object{"method": "sms"}).want(200)
		c.body.(object)["code"] = w.LastCode(w.t, nadiasNumber)
	},
	"verify duo_code": asDiego,
	"verify provider_unavailable": func(w *world, p sallyporttest.Person, c *call) {
		asDiego(w, p, c)
		garbled(w)
	},
	"verify code_over": func(w *world, _ sallyporttest.Person, c *call) { w.fallback(c) },
	"verify expired":   later(15 * time.Minute),

	"complete complete":       nil,
	"complete conflict":       func(w *world, p sallyporttest.Person, c *call) { w.turn(c)(w.begin(p)) },
	"complete expired":        later(15 * time.Minute),
	"complete policy_forbids": nil,

	"postpone postponed":      nil,
	"postpone policy_forbids": func(w *world, p sallyporttest.Person, c *call) { w.turn(c)(w.opened(p)) },
	"postpone conflict":       func(w *world, p sallyporttest.Person, c *call) { w.turn(c)(w.begin(p)) },
	"postpone expired":        later(15 * time.Minute),

	"ask_help help_asked": nil,
	"ask_help conflict":   func(w *world, p sallyporttest.Person, c *call) { w.turn(c)(w.ready(p)) },
	"ask_help expired":    later(15 * time.Minute),

	"attempt_password changed":           nil,
	"attempt_password conflict":          func(w *world, p sallyporttest.Person, c *call) { w.turn(c)(w.begin(p)) },
	"attempt_password expired":           later(15 * time.Minute),
	"attempt_password_strength conflict": func(w *world, p sallyporttest.Person, c *call) { w.turn(c)(w.begin(p)) },
	"attempt_password_strength expired":  later(15 * time.Minute),

	"ask_password_reset sent":   nil,
	"ask_password_reset nobody": nil,
	"prove_password_reset proven": func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["code"] = w.LastCode(w.t, p.Email)
	},
	"prove_password_reset conflict": func(w *world, p sallyporttest.Person, c *call) {
		w.post(c.path, "", object{"token": c.body.(object)["token"], "code": w.LastCode(w.t, p.Email)}).want(200)
	},
	"prove_password_reset expired": later(signin.ResetLives),
	"prove_password_reset paused": func(w *world, p sallyporttest.Person, c *call) {
		body := maps.Clone(c.body.(object))
		if body["code"] = "000000"; w.LastCode(w.t, p.Email) == "000000" {
			body["code"] = "000001"
		}
		wrong(policy.FreeTries, body)(w, p, c)
	},
	"finish_password_reset conflict": func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["token"], _ = w.forgot(p)
	},
	"finish_password_reset expired": later(signin.ResetLives),
	"link_password_strength conflict": func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["token"], _ = w.forgot(p)
	},
	"link_password_strength expired":              later(signin.ResetLives),
	"account_password_strength judged":            nil,
	"attempt_password_strength judged":            nil,
	"link_password_strength judged":               nil,
	"account_password_strength too_many_requests": askedOften,
	"attempt_password_strength too_many_requests": askedOften,
	"link_password_strength too_many_requests":    askedOften,
	"look_invitation found": func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["token"] = w.invited(p, "lena")
	},
	"look_invitation conflict": func(w *world, _ sallyporttest.Person, c *call) {
		w.post("/api/v1/invitations/accept", "", object{"token": c.body.(object)["token"], "password": newPassword}).want(201)
	},
	"look_invitation expired":    later(7 * 24 * time.Hour),
	"accept_invitation complete": nil,
	"accept_invitation need_enrolment": func(w *world, _ sallyporttest.Person, _ *call) {
		w.ownWay(0)
	},
	"accept_invitation conflict": func(w *world, _ sallyporttest.Person, c *call) { w.do(*c).want(201) },
	"accept_invitation expired":  later(7 * 24 * time.Hour),
	"not_me secured":             nil,
	"not_me conflict":            func(w *world, _ sallyporttest.Person, c *call) { w.do(*c).want(200) },
	"not_me expired":             later(7 * 24 * time.Hour),

	"session aal2":     nil,
	"account with_app": nil,
	"account email_change": func(w *world, _ sallyporttest.Person, c *call) {
		c.bearer = w.post("/api/v1/account/backup-codes", c.bearer, object{}).want(201).str("session.token")
		w.post("/api/v1/account/email", c.bearer, object{"email": "maya@new.example"}).want(201)
	},
	"account required":              func(w *world, _ sallyporttest.Person, _ *call) { w.SetTwoFactor(w.t, "acme", policy.Required) },
	"change_account changed":        nil,
	"change_account nothing":        nil,
	"change_account policy_forbids": nil,

	"factors one":  nil,
	"factors none": plain(false),
	"factors pending": func(w *world, p sallyporttest.Person, c *call) {
		plain(true)(w, p, c)
		w.post(c.path, c.bearer, object{"method": "totp"}).want(201)
	},
	"factors several": func(w *world, p sallyporttest.Person, c *call) {
		w.Clock.Advance(time.Second) // the list is in the order of time
		c.bearer = w.post("/api/v1/account/backup-codes", c.bearer, object{}).want(201).str("session.token")
		w.Clock.Advance(time.Second) // ids of one millisecond have no order
		path := w.sent(c.bearer)
		c.bearer = w.post(path+"/confirm", c.bearer, object{"code": w.LastCode(w.t, p.Email)}).want(200).str("session.token")
	},
	"factors more": func(w *world, p sallyporttest.Person, c *call) {
		w.post(c.path, c.bearer, object{"method": "totp", "replaces": p.Factor}).want(201)
		c.path += "?limit=1"
	},

	"begin_factor first":      plain(true),
	"begin_factor replace":    func(_ *world, p sallyporttest.Person, c *call) { c.body.(object)["replaces"] = p.Factor },
	"begin_factor conflict":   nil,
	"begin_factor email":      nil,
	"begin_factor in_sign_in": func(w *world, p sallyporttest.Person, c *call) { _, c.bearer = w.opened(p) },
	"begin_factor not_found": func(w *world, _ sallyporttest.Person, c *call) {
		c.bearer = w.post("/api/v1/account/step-up", c.bearer, object{}).want(201).str("token") // of a step-up
	},
	"begin_factor expired": func(w *world, p sallyporttest.Person, c *call) {
		_, c.bearer = w.opened(p)
		w.Clock.Advance(15 * time.Minute)
	},
	"begin_factor send_limit":       often(20),
	"begin_factor message_not_sent": mailFails,
	"begin_factor step_up_required": later(11 * time.Minute),
	"begin_factor policy_forbids": func(w *world, p sallyporttest.Person, c *call) {
		plain(true)(w, p, c)
		w.SetTwoFactor(w.t, "acme", policy.Off)
	},

	"begin_factor sms": func(w *world, _ sallyporttest.Person, _ *call) { w.UseTexts(w.t, w.Company) },
	"begin_factor duo": func(w *world, _ sallyporttest.Person, _ *call) { w.UseDuo(w.t, w.Company) },
	"begin_factor duo_known": func(w *world, _ sallyporttest.Person, _ *call) {
		w.UseDuo(w.t, w.Company)
		w.Duo.AddUser(duoUser("maya"))
	},
	"begin_factor factor_taken": nadia,
	"begin_factor provider_unavailable": func(w *world, _ sallyporttest.Person, _ *call) {
		w.UseDuo(w.t, w.Company)
		garbled(w)
	},

	"factor active": nil,
	"factor sms": func(w *world, p sallyporttest.Person, c *call) {
		c.path = "/api/v1/account/factors/" + w.AddPhone(w.t, p.User, nadiasNumber)
	},
	"factor duo_to_enroll": func(w *world, _ sallyporttest.Person, c *call) {
		w.UseDuo(w.t, w.Company)
		c.path = "/api/v1/account/factors/" + w.post("/api/v1/account/factors", c.bearer, object{"method": "duo"}).want(201).str("id")
	},
	"factor duo_waiting": func(w *world, p sallyporttest.Person, c *call) {
		atDuo(w, p, c)
		w.post(c.path+"/challenge", c.bearer, object{"option": "auto"}).want(200)
	},
	"factor forbidden": func(w *world, p sallyporttest.Person, c *call) { _, c.bearer = w.begin(p) },
	"factor conflict":  func(w *world, p sallyporttest.Person, c *call) { _, c.bearer = w.opened(p) },
	"factor expired": func(w *world, p sallyporttest.Person, c *call) {
		atDuo(w, p, c)
		w.Clock.Advance(30 * time.Minute)
	},

	"challenge_factor options": nil,
	"challenge_factor push":    nil,
	"challenge_factor conflict": func(_ *world, p sallyporttest.Person, c *call) {
		c.path = "/api/v1/account/factors/" + p.Factor + "/challenge"
	},
	"challenge_factor expired":   later(30 * time.Minute),
	"challenge_factor send_wait": func(w *world, _ sallyporttest.Person, c *call) { w.do(*c).want(200) },
	"challenge_factor policy_forbids": func(w *world, p sallyporttest.Person, _ *call) {
		w.Duo.AddUser(sallyporttest.DuoUser{Username: p.Login, Result: "deny"})
	},
	"challenge_factor provider_unavailable": func(w *world, _ sallyporttest.Person, _ *call) { garbled(w) },

	"send_factor sent": nil,
	"send_factor conflict": func(_ *world, p sallyporttest.Person, c *call) {
		c.path = "/api/v1/account/factors/" + p.Factor + "/send"
	},
	"send_factor expired": later(30 * time.Minute),
	"send_factor send_wait": func(w *world, _ sallyporttest.Person, c *call) {
		a := w.post("/api/v1/account/factors", c.bearer, object{"method": "email"}).want(201)
		c.path = "/api/v1/account/factors/" + a.str("id") + "/send"
	},
	"send_factor message_not_sent": mailFails,

	"change_factor named":     nil,
	"change_factor preferred": nil,

	"remove_factor removed":          nil,
	"remove_factor step_up_required": later(11 * time.Minute),
	"remove_factor policy_forbids":   func(w *world, _ sallyporttest.Person, _ *call) { w.SetTwoFactor(w.t, "acme", policy.Required) },

	"confirm_factor confirmed": func(w *world, p sallyporttest.Person, c *call) { code(w, w.begunApp(c), c) },
	"confirm_factor in_sign_in": func(w *world, p sallyporttest.Person, c *call) {
		_, c.bearer = w.opened(p)
		a := w.post("/api/v1/account/factors", c.bearer, object{"method": "totp"}).want(201)
		c.path = "/api/v1/account/factors/" + a.str("id") + "/confirm"
		code(w, sallyporttest.Person{Secret: secretOf(w.t, a.str("totp.secret"))}, c)
	},
	"confirm_factor address": func(w *world, _ sallyporttest.Person, c *call) {
		a := w.post("/api/v1/account/email", c.bearer, object{"email": "maya@new.example"}).want(201)
		c.path = "/api/v1/account/factors/" + a.str("id") + "/confirm"
		c.body.(object)["code"] = w.LastCode(w.t, "maya@new.example")
	},
	"confirm_factor sms": func(w *world, _ sallyporttest.Person, c *call) {
		w.UseTexts(w.t, w.Company)
		a := w.post("/api/v1/account/factors", c.bearer, object{"method": "sms", "phone": nadiasNumber}).want(201)
		c.path = "/api/v1/account/factors/" + a.str("id") + "/confirm"
		c.body.(object)["code"] = w.LastCode(w.t, nadiasNumber)
	},
	"confirm_factor duo_approved": func(w *world, p sallyporttest.Person, c *call) {
		path := w.duoSetUp(p, c.bearer)
		w.post(path+"/challenge", c.bearer, object{"option": "auto"}).want(200)
		if err := w.Duo.Approve(w.lastPush().TxID); err != nil {
			w.t.Fatal(err)
		}
		w.until(path, c.bearer, "duo.outcome", "approved")
		c.path = path + "/confirm"
	},
	"confirm_factor policy_forbids": func(w *world, p sallyporttest.Person, c *call) {
		atDuo(w, p, c)
		w.Duo.AddUser(sallyporttest.DuoUser{Username: p.Login, Result: "deny"})
	},
	"confirm_factor provider_unavailable": func(w *world, p sallyporttest.Person, c *call) {
		atDuo(w, p, c)
		garbled(w)
	},
	"confirm_factor code_over": func(w *world, _ sallyporttest.Person, c *call) {
		c.path = w.sent(c.bearer) + "/confirm"
		w.Clock.Advance(2 * time.Minute)
	},
	"confirm_factor wrong_code": func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["code"] = w.WrongCode(w.t, w.begunApp(c).Secret)
	},
	"confirm_factor clock": func(w *world, p sallyporttest.Person, c *call) {
		c.body.(object)["code"] = sallyporttest.CodeAt(w.t, w.begunApp(c).Secret, w.Clock.Now().Add(4*time.Minute))
	},
	"confirm_factor invalid":  func(w *world, p sallyporttest.Person, c *call) { w.begunApp(c) },
	"confirm_factor conflict": nil, // the one that is active already
	"confirm_factor paused": func(w *world, p sallyporttest.Person, c *call) {
		wrong(policy.FreeTries, object{"code": w.WrongCode(w.t, w.begunApp(c).Secret)})(w, p, c)
	},
	"confirm_factor expired": func(w *world, p sallyporttest.Person, c *call) { w.begunApp(c); w.Clock.Advance(30 * time.Minute) },

	"new_backup_codes made":             nil,
	"new_backup_codes step_up_required": later(11 * time.Minute),
	"new_backup_codes policy_forbids":   plain(true),

	"begin_email begun":            nil,
	"begin_email step_up_required": later(11 * time.Minute),
	"begin_email policy_forbids":   nil, // without mail
	"begin_email send_limit":       often(20),
	"begin_email message_not_sent": mailFails,

	"sessions two":               nil,
	"name_session named":         nil,
	"name_trusted_browser named": nil,
	"trusted_browsers one":       func(w *world, p sallyporttest.Person, c *call) { c.bearer = w.trustingSession(p) },
	"events newest": func(w *world, _ sallyporttest.Person, c *call) {
		w.Clock.Advance(time.Second) // ids of one millisecond have no order
		w.do(call{method: "PATCH", path: "/api/v1/account/sessions/" + sessionID(c.bearer), bearer: c.bearer, body: object{"name": "Kitchen laptop"}}).want(200)
		c.path += "?limit=1"
	},

	"change_password changed":           nil,
	"change_password wrong_credentials": nil,
	"change_password step_up_required":  later(11 * time.Minute),
	"change_password paused":            wrong(policy.FreeTries, object{"current": "not the right one", "new": newPassword}),

	"mail_provider server":           nil,
	"sms_provider none":              nil,
	"duo_provider none":              nil,
	"test_mail_provider sent":        nil,
	"test_sms_provider sent":         nil,
	"test_duo_provider works":        pretendDuo,
	"test_mail_provider refused":     nil,
	"test_sms_provider refused":      nil,
	"test_duo_provider refused":      pretendDuo,
	"test_mail_provider tests_spent": times(provider.TestsPerHour),
	"test_sms_provider budget_spent": times(4),
	"test_duo_provider tests_spent":  times(provider.TestsPerHour),

	"their_factors one":           nil,
	"set_up_for email":            nil,
	"set_up_for app":              nil,
	"set_up_for step_up_required": later(11 * time.Minute),
	"change_for step_up_required": later(11 * time.Minute),
	"remove_for step_up_required": later(11 * time.Minute),
	"act_on help_code": func(_ *world, _ sallyporttest.Person, c *call) {
		c.path = strings.Replace(c.path, "/sign-out", "/bypass-code", 1)
	},
	"act_on waiting":          func(w *world, p sallyporttest.Person, _ *call) { w.promote(p.User, directory.Helpdesk) },
	"act_on step_up_required": later(11 * time.Minute),
	"approvals one": func(w *world, p sallyporttest.Person, c *call) {
		onWaiting("approve")(w, p)
	},
	"approvals none":           nil,
	"approve approved":         nil,
	"approve step_up_required": later(11 * time.Minute),
	"cancel cancelled":         nil,

	"report_adoption all":                nil,
	"report_adoption no_permission":      plain(false),
	"report_sign_ins a_day":              oneDay,
	"report_sign_ins no_permission":      plain(false),
	"report_attention no_owner":          nil,
	"report_attention no_permission":     plain(false),
	"report_coverage one":                nil,
	"report_coverage no_permission":      plain(false),
	"report_coverage_file no_permission": plain(false),

	"api_keys none":                  nil,
	"exemptions none":                nil,
	"step_up grant":                  nil,
	"actions own":                    nil,
	"save_action saved":              nil,
	"save_action step_up_required":   later(11 * time.Minute),
	"save_action invalid":            unheardOf,
	"remove_action step_up_required": later(11 * time.Minute),
	"redeem_grant redeemed":          regrant,
	"redeem_grant used": func(w *world, p sallyporttest.Person, c *call) {
		regrant(w, p, c)
		w.do(*c).want(200)
	},
	"redeem_grant over": func(w *world, p sallyporttest.Person, c *call) {
		regrant(w, p, c)
		w.Clock.Advance(5 * time.Minute)
	},
	"redeem_handle signed_in":       func(w *world, p sallyporttest.Person, c *call) { c.body = object{"handle": w.handle(p)} },
	"redeem_handle invalid":         unheardOf,
	"add_return_address invalid":    unheardOf,
	"remove_return_address invalid": unheardOf,
	"redeem_handle used": func(w *world, p sallyporttest.Person, c *call) {
		c.body = object{"handle": w.handle(p)}
		w.do(*c).want(200)
	},
	"redeem_handle over": func(w *world, p sallyporttest.Person, c *call) {
		c.body = object{"handle": w.handle(p)}
		w.Clock.Advance(time.Minute)
	},
	"add_return_address added":               nil,
	"add_return_address step_up_required":    later(11 * time.Minute),
	"remove_return_address removed":          nil,
	"remove_return_address step_up_required": later(11 * time.Minute),
	"begin verified": func(w *world, p sallyporttest.Person, c *call) {
		k, token := w.asserting(p)
		w.returnTo(k)
		c.bearer = token
	},
	"grant_keys keys":                  nil,
	"redeem_grant invalid":             unheardOf,
	"save_role saved":                  nil,
	"save_role step_up_required":       later(11 * time.Minute),
	"remove_role step_up_required":     later(11 * time.Minute),
	"create_api_key created":           nil,
	"create_api_key step_up_required":  later(11 * time.Minute),
	"save_role invalid":                unheardOf,
	"create_api_key invalid":           unheardOf,
	"rename_api_key invalid":           unheardOf,
	"roll_api_key invalid":             unheardOf,
	"set_api_account invalid":          unheardOf,
	"end_api_account invalid":          unheardOf,
	"rename_api_key renamed":           nil,
	"roll_api_key rolled":              nil,
	"set_api_account set":              nil,
	"end_api_account ended":            nil,
	"rename_api_key step_up_required":  later(11 * time.Minute),
	"remove_api_key step_up_required":  later(11 * time.Minute),
	"roll_api_key step_up_required":    later(11 * time.Minute),
	"set_api_account step_up_required": later(11 * time.Minute),
	"end_api_account step_up_required": later(11 * time.Minute),
	"audit_events by_type":             func(_ *world, _ sallyporttest.Person, c *call) { c.path += "?type=company.created" },
	"audit_events none": func(_ *world, p sallyporttest.Person, c *call) {
		c.path += "?limit=10&type=password.&target=" + p.ID
	},
	"audit_events no_permission": plain(false),
	"verify_audit holds": func(w *world, _ sallyporttest.Person, _ *call) {
		if _, err := w.Audit.SealSome(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		w.AddUser(w.t, w.Company, "lena", false)
	},
	"audit_retention ever":                 nil,
	"set_audit_retention year":             nil,
	"set_audit_retention step_up_required": later(11 * time.Minute),
	"audit_streams none":                   nil,
	"set_audit_stream saved":               nil,
	"set_audit_stream conflict":            nil,
	"set_audit_stream step_up_required":    later(11 * time.Minute),
	"remove_audit_stream removed": func(w *world, _ sallyporttest.Person, c *call) {
		w.do(call{method: "PUT", path: c.path, bearer: c.bearer, body: streamTo()}).want(200)
	},
	"remove_audit_stream step_up_required": later(11 * time.Minute),
	"test_audit_stream works": func(w *world, _ sallyporttest.Person, c *call) {
		s := sallyporttest.NewSyslog(w.t)
		c.body = object{"host": s.Host, "port": s.Port, "ca": s.CA}
	},
	"test_audit_stream refused":          func(_ *world, _ sallyporttest.Person, c *call) { c.body = streamTo() },
	"test_audit_stream step_up_required": later(11 * time.Minute),
	"test_audit_stream tests_spent": func(w *world, p sallyporttest.Person, c *call) {
		c.body = streamTo()
		times(provider.TestsPerHour)(w, p, c)
	},
	"add_user added":      nil,
	"bulk_users require":  nil,
	"change_user renamed": nil,

	"policy current":                nil,
	"policy no_permission":          plain(false),
	"set_policy saved":              nil,
	"set_policy undone":             policySaved,
	"set_policy conflict":           nil,
	"set_policy strands_owners":     nil,
	"set_policy no_permission":      plain(false),
	"set_policy step_up_required":   later(11 * time.Minute),
	"preview_policy saved":          nil,
	"preview_policy conflict":       nil,
	"preview_policy strands_owners": nil,
	"preview_policy no_permission":  plain(false),
	"policy_versions first":         nil,
	"policy_versions no_permission": plain(false),
	"policy_version one":            nil,
	"policy_version not_found":      func(_ *world, _ sallyporttest.Person, c *call) { c.path += "000" },
	"policy_version no_permission":  plain(false),
	"policy_presets no_permission":  plain(false),

	"step_up need_factor":   nil,
	"step_up need_password": plain(false),
})))
