package httpserve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Func is a handler that returns what went wrong instead of writing it.
type Func func(w http.ResponseWriter, r *http.Request) error

// JSON serves f; its errors become problem documents.
func JSON(f Func) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			Record(r, err)
			sendOnce(w, func() { writeProblem(w, r, asError(r, err)) })
		}
	})
}

// Page serves f; its errors become error pages. A page that can show an error
// in place does so itself, and calls [Record].
func Page(f Func) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			Record(r, err)
			sendOnce(w, func() { writePage(w, r, asError(r, err)) })
		}
	})
}

// Fail answers err as a problem document to programs and as a page to people.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	Record(r, err)
	sendOnce(w, func() { answer(w, r, asError(r, err)) })
}

// sendOnce cuts the connection if half an answer is out: what follows would
// look like a part of it.
func sendOnce(w http.ResponseWriter, send func()) {
	if started(w) {
		panic(http.ErrAbortHandler)
	}
	// What the handler said about its own answer does not hold for this one.
	for _, h := range []string{"Content-Length", "Content-Encoding", "Content-Disposition", "Etag", "Last-Modified", "Refresh", "Location"} {
		w.Header().Del(h)
	}
	w.Header().Set("Cache-Control", "no-store")
	send()
}

// asError is authn.AsError for what net/http has errors of its own.
func asError(r *http.Request, err error) *authn.Error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(large.Limit, err)
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		// The client has gone; nobody reads the answer, and it is no fault of ours.
		return &authn.Error{Code: authn.Busy, Err: err}
	}
	e := authn.AsError(err)
	if _, known := status[e.Code]; !known {
		return &authn.Error{Code: authn.Internal, Err: err}
	}
	return e
}

// status is the one table from code to HTTP status (design/api.md).
var status = map[authn.Code]int{
	authn.BadRequest:          http.StatusBadRequest,
	authn.Unauthenticated:     http.StatusUnauthorized,
	authn.StepUpRequired:      http.StatusUnauthorized,
	authn.Forbidden:           http.StatusForbidden,
	authn.PolicyForbids:       http.StatusForbidden,
	authn.EnrolmentRequired:   http.StatusForbidden,
	authn.NotFound:            http.StatusNotFound,
	authn.MethodNotAllowed:    http.StatusMethodNotAllowed,
	authn.Conflict:            http.StatusConflict,
	authn.Expired:             http.StatusGone,
	authn.TooLarge:            http.StatusRequestEntityTooLarge,
	authn.UnsupportedMedia:    http.StatusUnsupportedMediaType,
	authn.WrongHost:           http.StatusMisdirectedRequest,
	authn.Invalid:             http.StatusUnprocessableEntity,
	authn.WrongCredentials:    http.StatusUnprocessableEntity,
	authn.WrongCode:           http.StatusUnprocessableEntity,
	authn.CodeUsed:            http.StatusUnprocessableEntity,
	authn.Locked:              http.StatusLocked,
	authn.Paused:              http.StatusTooManyRequests,
	authn.TooManyRequests:     http.StatusTooManyRequests,
	authn.MessageNotSent:      http.StatusBadGateway,
	authn.ProviderUnavailable: http.StatusServiceUnavailable,
	authn.Busy:                http.StatusServiceUnavailable,
	authn.Internal:            http.StatusInternalServerError,
}

// Status is the HTTP status of a code; 500 for one that is not ours.
func Status(c authn.Code) int {
	if s, ok := status[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// Problem is the body of every refusal under /api/ (RFC 9457).
type Problem struct {
	Type         string         `json:"type"`
	Title        string         `json:"title"`
	Status       int            `json:"status"`
	Code         authn.Code     `json:"code"`
	Detail       string         `json:"detail,omitempty"`
	RequestID    string         `json:"request_id,omitempty"`
	AttemptsLeft *int           `json:"attempts_left,omitempty"`
	RetryAfter   int            `json:"retry_after,omitempty"` // seconds
	ExpiresAt    *time.Time     `json:"expires_at,omitempty"`
	Fields       []ProblemField `json:"fields,omitempty"`
	MaxAge       int            `json:"max_age,omitempty"` // seconds
	ACRValues    string         `json:"acr_values,omitempty"`
	Action       string         `json:"action,omitempty"`
	ClockSkew    int            `json:"clock_skew_seconds,omitempty"` // how far the phone is ahead
}

// ProblemField is one field that is not right.
type ProblemField struct {
	Name    string `json:"name"`
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
}

// NewProblem is the document for e. The title is English, as the code is for
// programs; the detail and the messages are in the language of the caller.
func NewProblem(r *http.Request, e *authn.Error) Problem {
	st := stateOf(r.Context())
	if e.Code == authn.TooLarge && e.Key == "" && e.Args["Limit"] != nil {
		// A person cannot do anything with the number; a program's author can.
		limited := *e
		limited.Key = "error.too_large.limit"
		e = &limited
	}
	p := Problem{
		Type: "/docs/errors/" + string(e.Code), Title: title(st.cfg.Texts, e.Code), Status: Status(e.Code), Code: e.Code,
		Detail: Message(st.cfg.Texts, st.client.Locale, e), RequestID: st.id,
		RetryAfter: seconds(e.RetryAfter), ACRValues: e.ACRValues, Action: e.Action, MaxAge: seconds(e.MaxAge),
		ClockSkew: int(e.ClockSkew / time.Second),
	}
	if e.HasLeft {
		p.AttemptsLeft = &e.AttemptsLeft
	}
	if !e.ExpiresAt.IsZero() {
		at := e.ExpiresAt.UTC().Truncate(time.Second)
		p.ExpiresAt = &at
	}
	for _, f := range e.Fields {
		p.Fields = append(p.Fields, ProblemField{Name: f.Name, Code: f.Code, Message: FieldMessage(st.cfg.Texts, st.client.Locale, f)})
	}
	return p
}

// tooLarge says how much could have been taken.
func tooLarge(limit int64, cause error) *authn.Error {
	size := fmt.Sprintf("%d bytes", limit)
	if limit%1024 == 0 {
		size = fmt.Sprintf("%d KiB", limit/1024)
	}
	return &authn.Error{Code: authn.TooLarge, Args: map[string]any{"Limit": size}, Err: cause}
}

func title(t Texts, c authn.Code) string {
	if t == nil {
		return http.StatusText(Status(c))
	}
	return t.Text(fallbackLang, "error."+string(c)+".title", nil)
}

// FieldMessage is the sentence about one field.
func FieldMessage(t Texts, lang string, f authn.Field) string {
	if t == nil {
		return ""
	}
	return t.Text(lang, f.TextKey(), f.Args)
}

// Message is the sentence for people about e. Where e says how long to wait,
// how many tries are left or how wrong a clock is, the sentence says so too.
func Message(t Texts, lang string, e *authn.Error) string {
	if t == nil {
		return ""
	}
	key, args := e.TextKey(), e.Args
	if e.Key == "" && e.Args == nil {
		key, args = variant(e)
	}
	return t.Text(lang, key, args)
}

func variant(e *authn.Error) (string, map[string]any) {
	key := e.TextKey()
	switch {
	case e.Code == authn.WrongCode && e.ClockSkew != 0:
		way := ".clock_ahead"
		if e.ClockSkew < 0 {
			way = ".clock_behind"
		}
		return key + way, map[string]any{"Count": minutes(e.ClockSkew.Abs())}
	case e.Code == authn.WrongCode && e.RetryAfter > 0:
		return key + ".paused", map[string]any{"Count": minutes(e.RetryAfter)}
	case e.Code == authn.WrongCode && e.HasLeft:
		return key + ".left", map[string]any{"Count": e.AttemptsLeft}
	case e.RetryAfter > 90*time.Second && (e.Code == authn.Paused || e.Code == authn.TooManyRequests):
		return key + ".minutes", map[string]any{"Count": minutes(e.RetryAfter)}
	case e.RetryAfter > 0 && (e.Code == authn.Paused || e.Code == authn.TooManyRequests):
		return key + ".seconds", map[string]any{"Count": seconds(e.RetryAfter)}
	}
	return key, nil
}

// Waiting times are rounded up: who comes back then must be let in.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
func minutes(d time.Duration) int { return int(math.Ceil(d.Minutes())) }

// answer chooses between program and person.
func answer(w http.ResponseWriter, r *http.Request, e *authn.Error) {
	if wantsJSON(r) {
		writeProblem(w, r, e)
		return
	}
	writePage(w, r, e)
}

func wantsJSON(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		return true
	}
	a := r.Header.Get("Accept")
	return (strings.Contains(a, "application/json") || strings.Contains(a, "application/problem+json")) && !strings.Contains(a, "text/html")
}

func writeProblem(w http.ResponseWriter, r *http.Request, e *authn.Error) {
	body, err := json.Marshal(NewProblem(r, e))
	if err != nil {
		// Nothing in a Problem can fail; a year beyond 9999 could.
		body = []byte(`{"type":"/docs/errors/internal","status":500,"code":"internal"}`)
		e = &authn.Error{Code: authn.Internal}
	}
	errorHeaders(w, r, e)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(Status(e.Code))
	w.Write(body)
}

// writePage leaves a wrong host to plain text: a page would ask that host for
// its style sheet.
func writePage(w http.ResponseWriter, r *http.Request, e *authn.Error) {
	errorHeaders(w, r, e)
	page := stateOf(r.Context()).cfg.ErrorPage
	if page != nil && e.Code != authn.WrongHost {
		page(w, r, e)
		if _, tracked := w.(*writer); !tracked || started(w) {
			return
		}
	}
	plainText(w, r, e)
}

func plainText(w http.ResponseWriter, r *http.Request, e *authn.Error) {
	st := stateOf(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(Status(e.Code))
	text := Message(st.cfg.Texts, st.client.Locale, e)
	if text == "" {
		text = title(nil, e.Code)
		if a, ok := e.Args["Address"].(string); ok && a != "" {
			text += "\n" + a
		}
	}
	fmt.Fprintf(w, "%s\n\n%s\n", text, st.id)
}

func errorHeaders(w http.ResponseWriter, r *http.Request, e *authn.Error) {
	h := w.Header()
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds(e.RetryAfter)))
	}
	switch e.Code {
	case authn.Unauthenticated:
		challenge := `Bearer realm="sallyport"`
		if r.Header.Get("Authorization") != "" {
			challenge += `, error="invalid_token"` // RFC 6750 section 3.1
		}
		h.Set("WWW-Authenticate", challenge)
	case authn.StepUpRequired:
		h.Set("WWW-Authenticate", stepUpChallenge(e))
	}
}

// stepUpChallenge is RFC 9470 section 3.
func stepUpChallenge(e *authn.Error) string {
	c := `Bearer realm="sallyport", error="insufficient_user_authentication", ` +
		`error_description="A more recent or stronger sign-in is required"`
	if e.ACRValues != "" {
		c += fmt.Sprintf(`, acr_values=%q`, e.ACRValues)
	}
	if e.MaxAge > 0 {
		c += fmt.Sprintf(`, max_age="%d"`, seconds(e.MaxAge))
	}
	return c
}

// WriteJSON answers v. Nothing is written if v cannot be encoded. Without a v
// only the status is sent.
func WriteJSON(w http.ResponseWriter, code int, v any) error {
	if v == nil {
		w.WriteHeader(code)
		return nil
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(body, '\n')) // fails only if the client has gone
	return nil
}
