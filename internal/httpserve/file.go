package httpserve

import (
	"io"
	"net/http"
)

// Attachment gives a writer of an answer that browsers save as name. What it is, is said
// with the first bytes: a refusal before them is no file.
func Attachment(w http.ResponseWriter, media, name string) io.Writer {
	return &file{w: w, media: media, name: name}
}

type file struct {
	w           http.ResponseWriter
	media, name string // name is empty once it was said
}

func (f *file) Write(b []byte) (int, error) {
	if f.name != "" {
		f.w.Header().Set("Content-Type", f.media)
		f.w.Header().Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
		f.name = ""
	}
	return f.w.Write(b)
}

// MediaOf is the type of a file with the extension "csv" or "jsonl".
func MediaOf(extension string) string {
	if extension == "csv" {
		return "text/csv; charset=utf-8"
	}
	return "application/jsonl"
}
