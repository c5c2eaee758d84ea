package audit

import "github.com/sallyport-mfa/sallyport/authn"

// TextKey is the catalogue key of what an event says: of its type, and where
// there is one, of the type with its reason, method, strength or channel, or with its
// reason and method. has asks the catalogue.
func TextKey(e authn.Event, has func(key string) bool) string {
	key := "event." + e.Type
	if e.Actor == "" && has(key+".nobody") {
		// At sign-in: the password was right, and that does not say who it was.
		for _, detail := range []string{"reason", "method"} {
			if own := key + ".nobody." + e.Personal.Detail[detail]; has(own) {
				return own
			}
		}
		return key + ".nobody"
	}
	if own := key + "." + e.Personal.Detail["reason"] + "." + e.Personal.Detail["method"]; has(own) {
		return own // an answer of a passkey is no code
	}
	for _, detail := range []string{"reason", "method", "acr", "channel"} {
		if d := e.Personal.Detail[detail]; d != "" && has(key+"."+d) {
			return key + "." + d
		}
	}
	if !has(key) {
		return "event.other"
	}
	return key
}

// LineKey is the catalogue key of an administrator's sentence about an event,
// with {Actor} and {Target}; empty if there is none. What nobody did to another
// has one that names {Target} alone.
func LineKey(e authn.Event, has func(key string) bool) string {
	base := "admin.audit.line." + e.Type
	if e.Actor == "" || e.Actor == e.Target {
		base = "admin.audit.own." + e.Type
		if e.Target == "" {
			return ""
		}
	}
	for _, detail := range []string{"reason", "method", "channel"} {
		if d := e.Personal.Detail[detail]; d != "" && has(base+"."+d) {
			return base + "." + d
		}
	}
	if has(base) {
		return base
	}
	return ""
}

// ByOther reports whether somebody else than the person to whom it happened did it:
// an administrator, a key, the operator. Their browser and network are not told to
// that person.
func ByOther(e authn.Event) bool { return e.Actor != "" && e.Actor != e.Target }
