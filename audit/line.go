package audit

import (
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/csvfile"
)

// Line is an event as machines read it, in exports and streams. It loses
// nothing: from the open fields and the commitment, who has no database can
// compute the hash.
type Line struct {
	Seq        int64             `json:"seq,omitempty"` // 0: not in the chain yet
	ID         string            `json:"id,omitempty"`
	Company    string            `json:"company"`
	At         time.Time         `json:"at"`
	Type       string            `json:"type"`
	Result     authn.Result      `json:"result,omitempty"`
	Actor      string            `json:"actor,omitempty"`
	Target     string            `json:"target,omitempty"`
	Address    string            `json:"address,omitempty"`
	Agent      string            `json:"agent,omitempty"`
	Detail     map[string]string `json:"detail,omitempty"`
	Text       string            `json:"text"`
	Prev       string            `json:"prev,omitempty"`
	Hash       string            `json:"hash,omitempty"`
	Commitment string            `json:"commitment,omitempty"`
}

// LineOf is an event with what it says in words.
func LineOf(e authn.SealedEvent, text string) Line {
	return Line{Seq: e.Seq, ID: e.ID, Company: e.Company, At: e.At.UTC(), Type: e.Type, Result: e.Result, Actor: e.Actor, Target: e.Target,
		Address: e.Personal.Address, Agent: e.Personal.Agent, Detail: e.Personal.Detail, Text: text,
		Prev: hex.EncodeToString(e.Prev), Hash: hex.EncodeToString(e.Hash), Commitment: hex.EncodeToString(e.Commitment)}
}

// HeadType marks the last line of an export: the end of the chain, with its hash.
const HeadType = "chain.head"

// HeadLine is the last line of an export; none is written before the first link.
func HeadLine(company string, h Head, at time.Time) Line {
	return Line{Seq: h.Seq, Company: company, At: at.UTC().Truncate(time.Second), Type: HeadType, Hash: hex.EncodeToString(h.Hash),
		Text: "End of the chain when this was exported"}
}

// Lines writes Line by line to w, as "csv" (RFC 4180, with a header) or "jsonl".
func Lines(w io.Writer, format string) (func(Line) error, error) {
	if format == "csv" {
		return csvLines(w)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return func(l Line) error { return e.Encode(l) }, nil
}

var csvColumns = []string{"seq", "at", "type", "result", "actor", "target", "address", "agent", "detail", "text", "id", "company", "prev", "hash", "commitment"}

func csvLines(w io.Writer) (func(Line) error, error) {
	c := csv.NewWriter(w)
	c.UseCRLF = true // RFC 4180
	if err := c.Write(csvColumns); err != nil {
		return nil, err
	}
	return func(l Line) error {
		seq, detail := "", ""
		if l.Seq > 0 {
			seq = strconv.FormatInt(l.Seq, 10)
		}
		if len(l.Detail) > 0 {
			b, err := json.Marshal(l.Detail)
			if err != nil {
				return err
			}
			detail = string(b)
		}
		cells := []string{seq, l.At.Format(time.RFC3339Nano), l.Type, string(l.Result), l.Actor, l.Target, l.Address, l.Agent, detail, l.Text, l.ID, l.Company, l.Prev, l.Hash, l.Commitment}
		for i, cell := range cells {
			cells[i] = csvfile.Cell(cell)
		}
		if err := c.Write(cells); err != nil {
			return err
		}
		c.Flush() // into the buffer behind it
		return c.Error()
	}, nil
}
