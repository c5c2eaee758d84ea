package duoserver

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// duoFail is an answer that says FAIL.
type duoFail struct {
	code            int
	message, detail string
}

// duoEndpoint is one endpoint.
type duoEndpoint struct {
	verb     string
	unsigned bool
	required []string
	optional []string
	serve    func(*Server, *http.Request, url.Values) (any, *duoFail)
}

var duoEndpoints = map[string]duoEndpoint{
	"/auth/v2/ping":          {verb: "GET", unsigned: true, serve: (*Server).time},
	"/auth/v2/check":         {verb: "GET", serve: (*Server).time},
	"/auth/v2/enroll":        {verb: "POST", optional: []string{"username", "valid_secs", "bypass_codes"}, serve: (*Server).enroll},
	"/auth/v2/enroll_status": {verb: "POST", required: []string{"user_id", "activation_code"}, serve: (*Server).enrollStatus},
	"/auth/v2/preauth": {verb: "POST", serve: (*Server).preauth,
		optional: []string{"user_id", "username", "ipaddr", "hostname", "trusted_device_token", "client_supports_verified_push"}},
	"/auth/v2/auth": {verb: "POST", required: []string{"factor"}, serve: (*Server).auth,
		optional: []string{"user_id", "username", "ipaddr", "hostname", "async", "device", "passcode", "type", "display_username", "pushinfo", "txid"}},
	"/auth/v2/auth_status": {verb: "GET", required: []string{"txid"}, serve: (*Server).authStatus},
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, ok := duoEndpoints[r.URL.Path]
	if !ok {
		writeDuo(w, nil, &duoFail{40401, "Resource not found", ""})
		return
	}
	if f, ok := s.fault(r.URL.Path); ok && f.play(w, r) {
		return
	}
	form, fail := s.check(r, e)
	if fail != nil {
		writeDuo(w, nil, fail)
		return
	}
	s.mu.Lock()
	if s.calls = append(s.calls, Call{r.URL.Path, form}); len(s.calls) > maxAsks {
		s.calls = s.calls[1:]
	}
	s.mu.Unlock()
	answer, fail := e.serve(s, r, form)
	writeDuo(w, answer, fail)
}

func (s *Server) fault(path string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.faults[path]
	if len(list) == 0 {
		return Fault{}, false
	}
	s.faults[path] = list[1:]
	return list[0], true
}

// play answers, or says that the usual answer is to follow.
func (f Fault) play(w http.ResponseWriter, r *http.Request) bool {
	if f.Wait != nil {
		select {
		case <-f.Wait:
		case <-r.Context().Done():
			return true
		}
	}
	switch {
	case f.Moved != "":
		http.Redirect(w, r, f.Moved, http.StatusFound)
	case f.Half:
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"stat": "OK", "response": {"result": "al`)
	case f.Body != "":
		w.WriteHeader(max(f.Status, http.StatusOK))
		_, _ = io.WriteString(w, f.Body)
	case f.Code != 0:
		status := f.Status
		if status == 0 {
			status = f.Code / 100
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"stat": "FAIL", "code": f.Code, "message": f.Message})
	case f.Status != 0:
		w.WriteHeader(f.Status)
	default:
		return false
	}
	return true
}

func writeDuo(w http.ResponseWriter, answer any, fail *duoFail) {
	w.Header().Set("Content-Type", "application/json")
	if fail == nil {
		_ = json.NewEncoder(w).Encode(map[string]any{"stat": "OK", "response": answer})
		return
	}
	w.WriteHeader(fail.code / 100)
	body := map[string]any{"stat": "FAIL", "code": fail.code, "message": fail.message}
	if fail.detail != "" {
		body["message_detail"] = fail.detail
	}
	_ = json.NewEncoder(w).Encode(body)
}

// check looks at everything that Duo looks at before it answers.
func (s *Server) check(r *http.Request, e duoEndpoint) (url.Values, *duoFail) {
	if r.Method != e.verb {
		return nil, &duoFail{40501, "Method not allowed", ""}
	}
	raw := r.URL.RawQuery
	if e.verb == "POST" {
		if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			return nil, &duoFail{40001, "Missing required request parameters", "Content-Type"}
		}
		b, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
		if err != nil || raw != "" {
			return nil, &duoFail{40002, "Invalid request parameters", "body"}
		}
		raw = string(b)
	}
	form, err := url.ParseQuery(raw)
	if err != nil {
		return nil, &duoFail{40002, "Invalid request parameters", "encoding"}
	}
	if !e.unsigned {
		if fail := s.checkSignature(r, form); fail != nil {
			return nil, fail
		}
	}
	for name, values := range form {
		if !slices.Contains(e.required, name) && !slices.Contains(e.optional, name) || len(values) != 1 {
			return nil, &duoFail{40002, "Invalid request parameters", name}
		}
	}
	for _, name := range e.required {
		if form.Get(name) == "" {
			return nil, &duoFail{40001, "Missing required request parameters", name}
		}
	}
	return form, nil
}

// checkSignature is version 2 with HMAC-SHA-512, from the description.
func (s *Server) checkSignature(r *http.Request, form url.Values) *duoFail {
	encoded, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Basic ")
	if !ok {
		return &duoFail{40101, "Missing request credentials", ""}
	}
	both, err := base64.StdEncoding.DecodeString(encoded)
	ikey, signature, ok := strings.Cut(string(both), ":")
	if err != nil || !ok {
		return &duoFail{40101, "Missing request credentials", ""}
	}
	if ikey != s.c.IKey {
		return &duoFail{40102, "Invalid integration key in request credentials", ""}
	}
	s.mu.Lock()
	now := s.now()
	s.mu.Unlock()
	date, err := time.Parse(time.RFC1123Z, r.Header.Get("Date"))
	if err != nil {
		return &duoFail{40104, "Missing request date header", ""}
	}
	if off := now.Sub(date); off > 5*time.Minute || off < -5*time.Minute {
		return &duoFail{40105, "Bad request timestamp", ""}
	}
	var pairs []string
	for name, values := range form {
		for _, v := range values {
			pairs = append(pairs, percent(name)+"\x00"+percent(v))
		}
	}
	slices.Sort(pairs) // \x00 sorts a name before the names that it begins
	text := fmt.Sprintf("%s\n%s\n%s\n%s\n%s", r.Header.Get("Date"), r.Method, s.c.Host, r.URL.Path,
		strings.ReplaceAll(strings.Join(pairs, "&"), "\x00", "="))
	mac := hmac.New(sha512.New, []byte(s.c.SKey))
	_, _ = io.WriteString(mac, text)
	given, err := hex.DecodeString(signature)
	if err != nil || !hmac.Equal(given, mac.Sum(nil)) || r.Host != s.c.Host {
		return &duoFail{40103, "Invalid signature in request credentials", ""}
	}
	return nil
}

// percent is the encoding of RFC 5849 section 3.6.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func (s *Server) time(*http.Request, url.Values) (any, *duoFail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]any{"time": s.now().Unix()}, nil
}

// validSeconds reads valid_secs; Duo's default is a day.
func validSeconds(form url.Values) (time.Duration, bool) {
	if form.Get("valid_secs") == "" {
		return 24 * time.Hour, true
	}
	n, err := strconv.Atoi(form.Get("valid_secs"))
	return time.Duration(n) * time.Second, err == nil && n > 0 && n <= 30*24*3600
}
