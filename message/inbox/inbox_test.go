package inbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

func TestCode(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "",
		"123456":                           "123456",
		"Your code is 123456.":             "123456",
		"Your code is 123456, for 2 min":   "123456",
		"Code:123456":                      "123456",
		"Code: 012345\nIt is good until…":  "012345",
		"(654321)":                         "654321",
		"您的验证码是123456，":                    "123456",
		"验证码 123456。":                      "123456",
		"رمزك \u2067123456\u2069":          "123456",
		"1234567 then 234567":              "234567",
		"12345 and 1234567":                "",
		"A123456 123456B 345678":           "345678",
		"https://x.example/123456/ 111222": "111222",
		"token=123456&b 333444":            "333444",
		"2026.123456 555666":               "555666",
		"1,123456":                         "",
		"order #123456":                    "",
		"١٢٣٤٥٦ 777888":                    "777888",
		"first 111111, second 222222":      "111111",
	} {
		if got := code(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestInbox(t *testing.T) {
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	b := Inbox{Now: func() time.Time { return at }}
	if len(b.Messages()) != 0 {
		t.Error("not empty at first")
	}
	for i := range Most + 20 {
		if err := b.Send(t.Context(), authn.Message{ID: strconv.Itoa(i), Channel: authn.SMS, Text: fmt.Sprintf("Code %06d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	list := b.Messages()
	if len(list) != Most || list[0].ID != "20" || list[Most-1].ID != "519" {
		t.Fatalf("%d messages, %s to %s", len(list), list[0].ID, list[len(list)-1].ID)
	}
	if first := list[0]; first.Code != "000020" || !first.At.Equal(at) || first.Channel != authn.SMS {
		t.Errorf("got %+v", first)
	}
	list[0].Text = "changed"
	if b.Messages()[0].Text == "changed" {
		t.Error("the list is not a copy")
	}
}

func TestInboxEndedContext(t *testing.T) {
	var b Inbox
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Send(ctx, authn.Message{}); !errors.Is(err, authn.MessageNotSent) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(b.Messages()) != 0 {
		t.Error("kept a message that was not sent")
	}
}

func TestInboxConcurrent(t *testing.T) {
	var b Inbox
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if err := b.Send(context.Background(), authn.Message{}); err != nil {
					t.Error(err)
				}
				b.Messages()
			}
		})
	}
	all.Wait()
	if n := len(b.Messages()); n != Most {
		t.Errorf("%d messages, want %d", n, Most)
	}
}
