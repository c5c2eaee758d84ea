package httpserve

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Limits of a posted form with files.
const (
	maxParts     = 64
	maxFormBytes = DefaultBodyLimit // bytes of all fields that are no files
)

// Upload is one file of a posted form.
type Upload struct {
	Bytes []byte
	Long  bool // it has more than was to be kept, and nothing is
}

type uploadsKey struct{}

// IsMultipart reports whether the body is a form with files.
func IsMultipart(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "multipart/form-data"
}

// Multipart reads a posted form with files, up to most bytes of each; what is longer
// is read and dropped, so that its sender gets an answer and no broken connection.
// The request that it gives works with Form and File. The caller knows who sends it:
// for others nothing is read.
func Multipart(r *http.Request, most int64) (*http.Request, error) {
	reader, err := r.MultipartReader()
	if err != nil {
		return nil, authn.UnsupportedMedia
	}
	form, files, room := url.Values{}, map[string]Upload{}, int64(maxFormBytes)
	for range maxParts {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			r = r.WithContext(context.WithValue(r.Context(), uploadsKey{}, files))
			r.PostForm = form
			return r, nil
		}
		if err != nil {
			return nil, badPart(err)
		}
		name, limit := part.FormName(), room
		if part.FileName() != "" {
			limit = most
		}
		b, err := io.ReadAll(io.LimitReader(part, limit+1))
		if err != nil {
			return nil, badPart(err)
		}
		long := int64(len(b)) > limit
		switch {
		case part.FileName() != "" && long:
			files[name] = Upload{Long: true}
			if _, err := io.Copy(io.Discard, part); err != nil {
				return nil, badPart(err)
			}
		case part.FileName() != "":
			files[name] = Upload{Bytes: b}
		case long:
			return nil, tooLarge(maxFormBytes, nil)
		case !utf8.ValidString(name+string(b)) || strings.Contains(name+string(b), "\x00"):
			return nil, authn.InvalidField(printable(name), "invalid", nil)
		default:
			room -= int64(len(b))
			form.Add(name, string(b))
		}
	}
	return nil, authn.BadRequest
}

func badPart(err error) error {
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return tooLarge(large.Limit, err)
	}
	return &authn.Error{Code: authn.BadRequest, Err: err}
}

// File is a file of a form that Multipart has read; the zero value if there is none.
func File(r *http.Request, name string) Upload {
	files, _ := r.Context().Value(uploadsKey{}).(map[string]Upload)
	return files[name]
}

// HasFiles reports whether Multipart has read any file.
func HasFiles(r *http.Request) bool {
	files, _ := r.Context().Value(uploadsKey{}).(map[string]Upload)
	return len(files) > 0
}

// ReadFile reads a body that is a file of one of some types, at most 1 MiB.
//
// Errors: UnsupportedMedia, TooLarge.
func ReadFile(r *http.Request, types ...string) ([]byte, error) {
	for _, t := range types {
		if hasType(r, t) {
			return readBody(r)
		}
	}
	return nil, authn.UnsupportedMedia
}
