package httpserve

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
)

// formWith is a request with a form of files ("name.png") and fields.
func formWith(t testing.TB, parts ...string) *http.Request {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		var part io.Writer
		var err error
		if name, file := strings.CutSuffix(parts[i], ".png"); file {
			part, err = w.CreateFormFile(name, parts[i])
		} else {
			part, err = w.CreateFormField(name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, parts[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/x?form=query", &b)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return r
}

func TestMultipart(t *testing.T) {
	r, err := Multipart(formWith(t, "form", "abc", "name", "Żółw", "logo.png", "12345", "dark.png", "123456", "logo_dark.png", ""), 5)
	if err != nil {
		t.Fatal(err)
	}
	form, err := Form(r)
	if err != nil || len(form["form"]) != 1 || form.Get("form") != "abc" || form.Get("name") != "Żółw" || form.Has("logo") {
		t.Errorf("%v, %v", form, err)
	}
	if f := File(r, "logo"); string(f.Bytes) != "12345" || f.Long {
		t.Errorf("%+v", f)
	}
	if f := File(r, "dark"); f.Bytes != nil || !f.Long {
		t.Errorf("%+v", f)
	}
	if f := File(r, "logo_dark"); len(f.Bytes) != 0 || f.Long {
		t.Errorf("an empty file: %+v", f)
	}
	if f := File(httptest.NewRequest(http.MethodGet, "/", nil), "logo"); f.Bytes != nil || f.Long {
		t.Errorf("%+v", f)
	}
}

func TestMultipart_refused(t *testing.T) {
	var many []string
	for i := range maxParts + 1 {
		many = append(many, fmt.Sprint("f", i), "x")
	}
	cut := formWith(t, "logo.png", strings.Repeat("x", 5000))
	cut.Body = io.NopCloser(io.LimitReader(cut.Body, 3000))
	long := formWith(t, "logo.png", strings.Repeat("x", 5000))
	long.Body = http.MaxBytesReader(httptest.NewRecorder(), long.Body, 3000)
	plain := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("a=b"))
	plain.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, tt := range map[string]struct {
		r    *http.Request
		code authn.Code
	}{
		"too many parts":      {formWith(t, many...), authn.BadRequest},
		"long fields":         {formWith(t, "a", strings.Repeat("x", 40_000), "b", strings.Repeat("x", 40_000)), authn.TooLarge},
		"NUL":                 {formWith(t, "a", "x\x00"), authn.Invalid},
		"broken UTF-8":        {formWith(t, "a", "\xff"), authn.Invalid},
		"cut off":             {cut, authn.BadRequest},
		"longer than allowed": {long, authn.TooLarge},
		"no files":            {plain, authn.UnsupportedMedia},
	} {
		if _, err := Multipart(tt.r, 10_000); authn.AsError(err).Code != tt.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if IsMultipart(plain) || !IsMultipart(formWith(t, "a", "b")) {
		t.Error("which is which?")
	}
}

// Only the routes that take files have the larger limit.
func TestUploads_limit(t *testing.T) {
	h := Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			Fail(w, r, err)
		}
	}), Config{Hosts: []string{"example.com"}, BodyLimit: 10, Uploads: map[string]int64{"POST /upload": 100}})
	for _, tt := range []struct {
		method, path string
		length       int
		known        bool
		status       int
	}{
		{"POST", "/upload", 100, true, 200}, {"POST", "/upload", 101, true, 413}, {"POST", "/upload", 101, false, 413}, {"POST", "/upload", 100, false, 200},
		{"PUT", "/upload", 11, true, 413}, {"POST", "/upload/", 11, true, 413}, {"POST", "/", 11, false, 413}, {"POST", "/", 10, true, 200},
	} {
		r := httptest.NewRequest(tt.method, "http://example.com"+tt.path, strings.NewReader(strings.Repeat("x", tt.length)))
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if !tt.known {
			r.ContentLength = -1
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%+v: %d", tt, w.Code)
		}
	}
}

// FuzzMultipart is a form with files, from anyone who is signed in.
func FuzzMultipart(f *testing.F) {
	for _, r := range []*http.Request{formWith(f, "form", "abc", "logo.png", "12345"), formWith(f)} {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(r.Header.Get("Content-Type"), b)
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", kind)
		got, err := Multipart(r, 100)
		if err != nil {
			if c := authn.AsError(err).Code; c == authn.Internal {
				t.Error(err)
			}
			return
		}
		for name := range got.PostForm {
			if len(File(got, name).Bytes) > 100 {
				t.Error("too much is kept")
			}
		}
	})
}
