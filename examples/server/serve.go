package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
)

// newHandler returns the API, and the health check of the server.
func newHandler(svc *contacts.Service, admin *contacts.Admin, rateLimit int, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", contactshttp.NewHandler(svc, &contactshttp.Options{RateLimit: rateLimit, Logger: log}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		// A server is healthy if its store answers.
		if _, err := findAccount(ctx, admin); err != nil {
			log.Error("unhealthy", "cause", causeOf(err))
			http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n") // fails only if the client is gone
	})
	return mux
}

// serve serves until ctx is done. Then it answers the open requests. When it
// returns, it has left no goroutine running.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, admin *contacts.Admin, log *slog.Logger) error {
	// These limits bound what a slow or hostile client can use.
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       time.Minute, // a batch may have 16 MiB
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	var background sync.WaitGroup
	defer background.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	background.Go(func() { purgeDaily(ctx, admin, log) })

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("shutting down")
	grace, cancelGrace := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancelGrace()
	if err := server.Shutdown(grace); err != nil {
		return errors.Join(err, server.Close()) // cuts the connections that are still open
	}
	log.Info("shut down")
	return nil
}

// A deleted contact can be restored for 30 days.
const (
	keepDeleted = 30 * 24 * time.Hour
	purgeEvery  = 24 * time.Hour
)

// purgeDaily removes contacts that were deleted more than 30 days ago, until ctx is
// done. The first purge is at once, because many servers restart within a day.
func purgeDaily(ctx context.Context, admin *contacts.Admin, log *slog.Logger) {
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	for {
		n, err := admin.PurgeContacts(ctx, contacts.PurgeInput{DeletedBefore: time.Now().Add(-keepDeleted)})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Error("the purge failed; the next one is in a day", "removed", n, "cause", causeOf(err))
		default:
			log.Info("purged", "removed", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// causeOf returns the text of an error and of its cause, which the error itself
// leaves out. It is only for the log.
func causeOf(err error) string {
	if e, ok := errors.AsType[*contacts.Error](err); ok && errors.Unwrap(e) != nil {
		return err.Error() + ": " + errors.Unwrap(e).Error()
	}
	return err.Error()
}
