package demo

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/web"
)

// message is what tests read of a message.
type message struct {
	ID      string     `json:"id"`
	Channel authn.Kind `json:"channel"`
	To      string     `json:"to"`
	Subject string     `json:"subject"`
	Text    string     `json:"text"`
	Code    *string    `json:"code"` // null: there is none in it
	At      time.Time  `json:"at"`
}

// inboxJSON lists what was sent, oldest first.
func (d *Demo) inboxJSON(w http.ResponseWriter, _ *http.Request) error {
	items := []message{}
	for _, m := range d.inbox.Messages() {
		item := message{ID: m.ID, Channel: m.Channel, To: m.To, Subject: m.Subject, Text: m.Text, At: m.At.UTC().Truncate(time.Second)}
		if m.Code != "" {
			item.Code = &m.Code
		}
		items = append(items, item)
	}
	return httpserve.WriteJSON(w, http.StatusOK, map[string]any{"items": items})
}

// onPage is how many messages the page shows.
const onPage = 100

// letterView is a message on the page.
type letterView struct {
	ID, To, Name, Subject string
	Text                  []piece
	HTML                  string // its source: a page that ran foreign markup would not be ours
	Code                  string
	At                    time.Time
}

// piece is a run of text, or a link.
type piece struct{ Text, Href string }

// inboxPage shows what was sent, newest first.
func (p *pages) inboxPage(w http.ResponseWriter, r *http.Request) error {
	all, err := p.accounts(r.Context())
	if err != nil {
		return err
	}
	list := []letterView{}
	messages := p.inbox.Messages()
	older := max(len(messages)-onPage, 0)
	for _, m := range messages[older:] {
		v := letterView{ID: m.ID, To: m.To, Subject: m.Subject, Text: p.pieces(m.Text), HTML: m.HTML, Code: m.Code, At: m.At}
		for _, a := range all {
			if strings.EqualFold(a.email, m.To) {
				v.Name = a.name
			}
		}
		list = append(list, v)
	}
	slices.Reverse(list)
	newest := ""
	if len(list) > 0 {
		newest = list[0].ID
	}
	return p.layout.Render(w, r, http.StatusOK, p.mail, web.Sheet, "Inbox", map[string]any{"Messages": list, "Newest": newest, "Older": older})
}

var address = regexp.MustCompile(`https?://[^\s<>"]+`)

// pieces makes links of the addresses of this very server, and of no others.
func (p *pages) pieces(text string) []piece {
	var out []piece
	for {
		at := address.FindStringIndex(text)
		if at == nil {
			return append(out, piece{Text: text})
		}
		url := strings.TrimRight(text[at[0]:at[1]], ".,;:!?)")
		end := at[0] + len(url)
		link := piece{Text: url}
		if strings.HasPrefix(url, p.URL()+"/") {
			link.Href = strings.TrimPrefix(url, p.URL())
		}
		out = append(out, piece{Text: text[:at[0]]}, link)
		text = text[end:]
	}
}
