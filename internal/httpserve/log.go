package httpserve

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// end answers a panic, writes the one log record, and goes on with a panic only
// where the connection has to be cut because half an answer was sent.
func (l *layer) end(w *writer, r *http.Request, st *state, start time.Time, p any) {
	cut := p == http.ErrAbortHandler
	if p != nil && !cut {
		st.code, st.cause = authn.Internal, panicCause(p)
		cut = w.status != 0
		if !cut {
			answerPanic(w, r)
		}
	}
	l.record(w, r, st, time.Since(start))
	if cut {
		panic(http.ErrAbortHandler)
	}
}

// answerPanic survives an error page that panics itself.
func answerPanic(w *writer, r *http.Request) {
	defer func() {
		if recover() != nil && w.status == 0 {
			plainText(w, r, &authn.Error{Code: authn.Internal})
		}
	}()
	answer(w, r, &authn.Error{Code: authn.Internal})
}

func (l *layer) record(w *writer, r *http.Request, st *state, took time.Duration) {
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	attrs := []slog.Attr{
		slog.String("request_id", st.id),
		slog.String("method", knownMethod(r.Method)),
		slog.String("route", st.route),
		slog.Int("status", status),
		slog.Float64("ms", float64(took.Microseconds())/1000),
		slog.Int64("bytes", w.bytes),
		slog.String("client", ClientPrefix(st.client.Address)),
	}
	if len(st.ids) > 0 {
		attrs = append(attrs, slog.Any("subject", st.ids))
	}
	if st.code != "" {
		attrs = append(attrs, slog.String("code", string(st.code)))
	}
	if st.cause != "" {
		attrs = append(attrs, slog.String("cause", st.cause))
	}
	level := slog.LevelInfo
	if status >= 500 {
		level = slog.LevelError
	}
	l.cfg.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// Record puts an error into the request's log record. It is for handlers that
// draw the error themselves; [Fail], [JSON] and [Page] do it.
func Record(r *http.Request, err error) {
	st := stateOf(r.Context())
	e := asError(r, err)
	st.code, st.cause = e.Code, ""
	// A refusal is about what the client sent, and so may be its cause; the
	// cause is worth something only where the fault is on our side.
	if Status(e.Code) >= 500 {
		st.cause = safeCause(err)
	}
}

const maxCause = 500

var tokenLike = regexp.MustCompile(`sp_[a-z]+_[0-9A-Za-z]+|otpauth://\S*`)

// safeCause is the text of an error for the log. The error types of the
// standard library that quote their input are named instead of printed.
func safeCause(err error) string {
	var (
		num    *strconv.NumError
		typ    *json.UnmarshalTypeError
		syntax *json.SyntaxError
		addr   *url.Error
		when   *time.ParseError
	)
	switch {
	case errors.As(err, &num), errors.As(err, &typ), errors.As(err, &syntax), errors.As(err, &when):
		return "a value was not understood (left out: it may be secret)"
	case errors.As(err, &addr):
		// The address of an outside service may carry keys; what went wrong does not.
		return addr.Op + ": " + safeCause(addr.Err)
	}
	s := tokenLike.ReplaceAllString(err.Error(), "[left out]")
	if len(s) > maxCause {
		s = s[:maxCause]
	}
	return strings.ToValidUTF8(s, "?")
}

// panicCause says where a panic happened. The value itself and the arguments
// on the stack may hold secrets; only messages of the Go runtime are safe.
func panicCause(p any) string {
	var b strings.Builder
	fmt.Fprintf(&b, "panic %T", p)
	if re, ok := p.(runtime.Error); ok {
		fmt.Fprintf(&b, " (%s)", strings.ToValidUTF8(re.Error(), "?"))
	}
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	past := false
	for n := 0; n < 8; {
		f, more := frames.Next()
		if past && !strings.HasPrefix(f.Function, "runtime.") {
			fmt.Fprintf(&b, " < %s:%d", f.Function, f.Line)
			n++
		}
		past = past || f.Function == "runtime.gopanic"
		if !more {
			break
		}
	}
	return b.String()
}

// A method is any word the client likes, so unknown ones are not repeated.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// ClientPrefix is the network of an address: /24 or /48, which tells an
// attack's origin without telling people apart.
func ClientPrefix(a netip.Addr) string {
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
