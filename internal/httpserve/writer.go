package httpserve

import (
	"net/http"
	"time"
)

// writer remembers what was sent. http.ResponseController reaches the real one
// through Unwrap.
type writer struct {
	http.ResponseWriter
	status int // 0: nothing sent yet
	bytes  int64
}

func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	// 1xx answers are followed by a real one.
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// FlushError is found by http.ResponseController before Unwrap, so that a
// flushed answer counts as begun.
func (w *writer) FlushError() error {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func started(w http.ResponseWriter) bool {
	rw, ok := w.(*writer)
	return ok && rw.status != 0
}

// TakeTime lets a request that carries a file take longer than others, both ways.
// Whoever may send it has been asked by then.
func TakeTime(w http.ResponseWriter, d time.Duration) {
	c := http.NewResponseController(w)
	end := time.Now().Add(d)
	// A server without deadlines needs none moved.
	_ = c.SetReadDeadline(end)
	_ = c.SetWriteDeadline(end)
}
