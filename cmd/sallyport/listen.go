package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Limits of a connection. A password page is small in both directions; what is
// slower than this is no browser on a bad line but somebody holding connections.
const (
	readHeader  = 10 * time.Second
	readAll     = 30 * time.Second
	writeAll    = 60 * time.Second
	idle        = 2 * time.Minute
	headerBytes = 32 << 10
	// grace is how long requests may take that were under way at the stop.
	grace = 10 * time.Second
)

// listen opens the address; the usual refusals say what to do.
func listen(address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program; stop that, or listen on another port", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s may be opened by the administrator only; use a port above 1023, or allow it (setcap cap_net_bind_service=+ep)", address)
	case err != nil:
		return nil, fmt.Errorf("listen: %w", err)
	}
	return ln, nil
}

// serveUntil serves on ln until ctx ends, while keep (the house-keeping) runs.
// On the way out nothing new is accepted, requests under way are finished, and
// then the house-keeping ends; so the caller can close the store afterwards.
func serveUntil(ctx context.Context, ln net.Listener, h http.Handler, tlsConfig *tls.Config, log *slog.Logger, keep func(context.Context) error) error {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: readHeader, ReadTimeout: readAll, WriteTimeout: writeAll, IdleTimeout: idle,
		MaxHeaderBytes: headerBytes, TLSConfig: tlsConfig, ErrorLog: errorLog(log),
		// Otherwise "OPTIONS *" is answered before the host check.
		DisableGeneralOptionsHandler: true,
	}
	house, endHouse := context.WithCancel(context.WithoutCancel(ctx))
	defer endHouse()
	kept := make(chan error, 1)
	go func() { kept <- keep(house) }()
	served := make(chan error, 1)
	go func() {
		if tlsConfig != nil {
			served <- s.ServeTLS(ln, "", "")
		} else {
			served <- s.Serve(ln)
		}
	}()
	var err error
	select {
	case <-ctx.Done():
		log.Info("stopping", "within", grace)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if err := s.Shutdown(end); err != nil {
			log.Warn("requests were cut off", "error", err)
			s.Close()
		}
	case err = <-served: // never nil: the listener broke
	}
	endHouse()
	return errors.Join(err, <-kept)
}
