package demo

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/message/inbox"
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

// channelView is one of the lists of the page.
type channelView struct {
	Channel authn.Kind // empty: all
	Name    string
	Count   int
	Here    bool
}

// letterView is a message on the page.
type letterView struct {
	ID, To, Name, Subject string
	Texted                bool // as a text message
	Text                  []piece
	HTML                  string // its source: a page that ran foreign markup would not be ours
	Code                  string
	At                    time.Time
}

// piece is a run of text, or a link.
type piece struct{ Text, Href string }

// inboxPage shows what was sent, newest first; of one channel, if the address
// names it.
func (p *pages) inboxPage(w http.ResponseWriter, r *http.Request) error {
	all, err := p.accounts(r.Context())
	if err != nil {
		return err
	}
	messages, newest := p.inbox.Messages(), ""
	if len(messages) > 0 {
		newest = messages[len(messages)-1].ID
	}
	channel := authn.Kind(r.URL.Query().Get("channel"))
	channels := []channelView{{Name: "All"}, {Channel: authn.SMS, Name: "Text messages"}, {Channel: authn.Email, Name: "E-mail"}}
	if channel != authn.SMS && channel != authn.Email {
		channel = ""
	}
	for i := range channels {
		c := &channels[i]
		c.Here = c.Channel == channel
		for _, m := range messages {
			if c.Channel == "" || c.Channel == m.Channel {
				c.Count++
			}
		}
	}
	messages = slices.DeleteFunc(messages, func(m inbox.Kept) bool { return channel != "" && m.Channel != channel })
	list := []letterView{}
	older := max(len(messages)-onPage, 0)
	for _, m := range messages[older:] {
		list = append(list, p.letter(m, all))
	}
	slices.Reverse(list)
	return p.layout.Render(w, r, http.StatusOK, p.mail, web.Sheet, "Inbox",
		map[string]any{"Messages": list, "Newest": newest, "Older": older, "Channel": channel, "Channels": channels})
}

// letter is a message with the name of whoever gets it.
func (p *pages) letter(m inbox.Kept, all []account) letterView {
	v := letterView{ID: m.ID, To: m.To, Subject: m.Subject, Text: p.pieces(m.Text), HTML: m.HTML, Code: m.Code, At: m.At, Texted: m.Channel == authn.SMS}
	if v.Texted {
		v.To = shownNumber(m.To)
	}
	for _, a := range all {
		if strings.EqualFold(a.email, m.To) || slices.Contains(a.numbers, m.To) {
			v.Name = a.name
		}
	}
	return v
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
