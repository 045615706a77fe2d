package contactshttp

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"example.com/contacts"
)

const headerRequestID = "X-Request-ID"

// RequestID returns the id of the request that ctx comes from, which a
// [slog.Handler] can add to whatever the program logs meanwhile: the line of a
// [contacts.Service] with the cause of a server error, say. It is "" outside of a
// request.
func RequestID(ctx context.Context) string {
	if x := exchangeOf(ctx); x != nil {
		return x.id
	}
	return ""
}

// An exchange is one request and what became of it.
type exchange struct {
	log     *slog.Logger
	id      string
	path    string // as it reached the handler, escaped
	route   string // its pattern; "": none
	started time.Time

	// Of the answer, once it has begun.
	status int
	bytes  int
	code   contacts.Code // "": no error
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{log: h.log, id: requestID(r.Header), path: r.URL.EscapedPath(), started: h.now()}
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	defer func() { x.logRequest(r, h.now()) }()
	defer x.rescue(w, r)
	in, ok := h.inside(r)
	if !ok {
		x.fail(w, r, errNoRoute())
		return
	}
	h.mux.ServeHTTP(w, in)
}

// requestID returns the id that the client gave the request, if it is 1 to 128
// characters of printable ASCII without spaces, or else a random one.
func requestID(h http.Header) string {
	id := h.Get(headerRequestID)
	if id == "" || len(id) > 128 {
		return rand.Text()
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return rand.Text()
		}
	}
	return id
}

// rescue makes a panic a server error. Its value may hold anything, so that only
// its type is logged. An answer that has begun cannot be taken back: the
// connection ends, and the client sees that it is not whole.
func (x *exchange) rescue(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // net/http promises this very value
		panic(v)
	}
	x.log.LogAttrs(r.Context(), slog.LevelError, "contactshttp: panic",
		slog.String("method", methodOf(r)),
		slog.String("route", x.route),
		slog.String("request_id", x.id),
		slog.String("type", fmt.Sprintf("%T", v)),
		slog.String("stack", stack()))
	if x.status != 0 {
		panic(http.ErrAbortHandler)
	}
	x.fail(w, r, contacts.ErrServer)
}

// stack returns where the panic happened: functions and lines, without the values
// that debug.Stack has, which may be parts of what must not be logged.
func stack() string {
	callers := make([]uintptr, 64)
	const skip = 3 // runtime.Callers, stack and rescue
	frames := runtime.CallersFrames(callers[:runtime.Callers(skip, callers)])
	var b strings.Builder
	for {
		f, more := frames.Next()
		fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		if !more {
			return b.String()
		}
	}
}

// logRequest writes the line of the request. It has no path and no query, which
// may hold what must not be logged.
func (x *exchange) logRequest(r *http.Request, now time.Time) {
	level := slog.LevelInfo
	if x.status >= http.StatusInternalServerError && r.Context().Err() == nil { // else it is the client who went away
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("method", methodOf(r)),
		slog.String("route", x.route),
		slog.Int("status", x.status),
		slog.Duration("duration", now.Sub(x.started)),
		slog.Int("bytes", x.bytes),
		slog.String("request_id", x.id),
	}
	if x.code != "" {
		attrs = append(attrs, slog.String("code", string(x.code)))
	}
	x.log.LogAttrs(r.Context(), level, "contactshttp: request", attrs...)
}

// methodOf returns the method for the log, if it is one of HTTP's: others are the
// client's own text.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return r.Method
	default:
		return "other"
	}
}

// An answer is a response before it is sent.
type answer struct {
	status int
	header http.Header
	body   any    // encoded as JSON; nil: none
	raw    []byte // a body that is JSON already
}

func (a *answer) set(name, value string) {
	if a.header == nil {
		a.header = make(http.Header)
	}
	a.header.Set(name, value)
}

// fail answers with the error.
func (x *exchange) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := failureOf(err)
	x.code = f.code
	x.send(w, r, f.answer())
}

// send sends the answer in one piece.
func (x *exchange) send(w http.ResponseWriter, r *http.Request, a *answer) {
	body := a.raw
	if a.body != nil {
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(a.body); err != nil { // a fault of ours, and its words may hold a value
			x.log.LogAttrs(r.Context(), slog.LevelError, "contactshttp: encode the answer",
				slog.String("route", x.route), slog.String("request_id", x.id), slog.String("type", fmt.Sprintf("%T", err)))
			x.fail(w, r, contacts.ErrServer)
			return
		}
		body = text.Bytes()
	}
	header := w.Header()
	for name, values := range a.header {
		header[name] = values
	}
	header.Set(headerRequestID, x.id)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if body != nil {
		header.Set("Content-Type", "application/json; charset=utf-8")
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	x.status = a.status
	w.WriteHeader(a.status)
	if body != nil && r.Method != http.MethodHead {
		x.bytes, _ = w.Write(body) // the client may be gone, and then nobody is left to tell
	}
}
