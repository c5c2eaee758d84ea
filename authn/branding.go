package authn

import "time"

// Brand is how a company looks and what it calls itself; what is empty is as it
// is without. It is loaded with the company, and package branding judges it.
type Brand struct {
	Accent      string `json:"accent,omitempty"`    // "#rrggbb", as it was chosen
	HelpText    string `json:"help_text,omitempty"` // for who cannot get in, besides Company.Support
	HelpLink    string `json:"help_link,omitempty"` // https, as the two below
	PrivacyLink string `json:"privacy_link,omitempty"`
	TermsLink   string `json:"terms_link,omitempty"`
	MailName    string `json:"mail_name,omitempty"` // the sender of e-mail; empty: the company's name
	SMSName     string `json:"sms_name,omitempty"`  // the company in text messages, in their alphabet; empty: the company's name
	Logo        Logo   `json:"logo,omitzero"`
	LogoDark    Logo   `json:"logo_dark,omitzero"` // on dark ground; none: Logo
}

// Logo is a picture that the company's pages show; the zero value is none.
type Logo struct {
	Hash   string `json:"hash"` // of its bytes: it is part of its address
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

// Branding is a company's brand as it is stored.
type Branding struct {
	Company   string
	Version   int64 // 0: never set
	Brand     Brand
	UpdatedAt time.Time
	UpdatedBy string // id of a person, or "operator"
}

// LogoFile is a picture of ours: always PNG.
type LogoFile struct {
	Kind  string // "logo", "logo_dark"
	Hash  string
	Bytes []byte // nil: the file is to go
}

// SetBranding saves the next version of the company's brand. Conflict if the
// stored one is not Version-1.
type SetBranding struct {
	Branding Branding
	Support  string // Company.Support
	Files    []LogoFile
}

func (SetBranding) write() {}
