package contactshttp

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"example.com/contacts"
)

const headerRequestID = "X-Request-ID"

// RequestID returns the id of the request that ctx belongs to. A [slog.Handler] can
// add it to every line of the program: the line of a [contacts.Service] with the
// cause of a server error, for example. It is "" outside of a request.
func RequestID(ctx context.Context) string {
	if x := exchangeOf(ctx); x != nil {
		return x.id
	}
	return ""
}

// An exchange is one request and its answer.
type exchange struct {
	log     *slog.Logger
	asked   *http.Request // as it reached the handler
	id      string
	path    string // of asked, escaped
	route   string // with the prefix; "": none
	docs    bool   // it is for the page, or a path below it
	quota   Quota  // of the key, if the service accepted it
	started time.Time

	// Of the answer; set when it is sent.
	status int
	bytes  int
	code   contacts.Code // "": no error
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// requestID returns the first id that has 1 to 128 printable ASCII characters and
// no space, else a random one.
func requestID(ids ...string) string {
	for _, id := range ids {
		strange := strings.ContainsFunc(id[:min(len(id), 128)], func(c rune) bool { return c <= ' ' || c > '~' })
		if id != "" && len(id) <= 128 && !strange {
			return id
		}
	}
	return rand.Text()
}

// A carefulHandler keeps a Logger that panics from ending the request: its line is
// lost, and the client gets the answer.
type carefulHandler struct{ slog.Handler }

// Enabled implements [slog.Handler].
func (h carefulHandler) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() { _ = recover() }()
	return h.Handler.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (h carefulHandler) Handle(ctx context.Context, r slog.Record) error {
	defer func() { _ = recover() }()
	return h.Handler.Handle(ctx, r)
}

// rescue turns a panic into a server error. Its value may hold personal data, so
// only the type is logged. If the answer has begun, the connection is closed, so
// that the client sees that the answer is incomplete.
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

// stack returns the functions and lines of the panic. debug.Stack has argument
// values too, which may hold personal data.
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

// logRequest writes the line of the request. It leaves out the path and the query,
// which may hold personal data.
func (x *exchange) logRequest(r *http.Request, now time.Time) {
	level := slog.LevelInfo
	if x.status >= http.StatusInternalServerError && r.Context().Err() == nil { // a client that went away is no fault
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

// methodOf returns the method for the log. Methods that are not HTTP's are "other",
// because their text is the client's.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return r.Method
	default:
		return "other"
	}
}

// An answer is a response that was not sent yet.
type answer struct {
	status int
	header http.Header
	body   any    // encoded as JSON; nil: none
	raw    []byte // in place of body: JSON

	// In place of both: JSON in parts, each of which is valid until the next one.
	parts iter.Seq[[]byte]
}

func (a *answer) set(name, value string) {
	if a.header == nil {
		a.header = make(http.Header)
	}
	a.header.Set(name, value)
}

// setTag sets the entity tag, if there is one.
func (a *answer) setTag(tag string) {
	if tag != "" {
		a.set("ETag", tag)
	}
}

// setLength sets the length of the body.
func (a *answer) setLength(n int) { a.set("Content-Length", strconv.Itoa(n)) }

// setReplayed says that the answer is that of an earlier request.
func (a *answer) setReplayed(replayed bool) {
	if replayed {
		a.set(headerIdempotencyReplayed, "true")
	}
}

// fail sends the answer of an error.
func (x *exchange) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := failureOf(err)
	x.code = f.code
	x.send(w, r, f.answer(x.id))
}

// send sends an answer in one piece, unless it is made in parts.
func (x *exchange) send(w http.ResponseWriter, r *http.Request, a *answer) {
	if a.parts != nil {
		x.sendParts(w, a)
		return
	}
	body := a.raw
	if a.body != nil {
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(a.body); err != nil {
			x.logEncode(r.Context(), err)
			x.fail(w, r, contacts.ErrServer)
			return
		}
		body = text.Bytes()
	}
	if body != nil {
		a.setLength(len(body))
	}
	x.begin(w, a)
	if body != nil && r.Method != http.MethodHead {
		x.bytes, _ = w.Write(body) // it fails only if the client is gone
	}
}

// maxHeld is how much of an answer in parts is held. A shorter one is sent in one
// piece, with its length.
const maxHeld = 1 << 20

// sendParts sends an answer that is made in parts. It ends when the client is gone.
func (x *exchange) sendParts(w http.ResponseWriter, a *answer) {
	var held bytes.Buffer
	flush := func() bool {
		if x.status == 0 {
			x.begin(w, a)
		}
		n, err := held.WriteTo(w)
		x.bytes += int(n)
		return err == nil
	}
	for part := range a.parts {
		held.Write(part)
		if held.Len() >= maxHeld && !flush() {
			return
		}
	}
	if x.status == 0 {
		a.setLength(held.Len())
	}
	flush()
}

// docsPolicy is that of package apidocs, for answers at its paths that the page does
// not make.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// begin sends the status and the headers of an answer.
func (x *exchange) begin(w http.ResponseWriter, a *answer) {
	header := w.Header()
	for name, values := range a.header {
		header[name] = values
	}
	x.quota.setHeaders(header)
	header.Set(headerRequestID, x.id)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if x.docs {
		header.Set("Content-Security-Policy", docsPolicy)
		header.Set("Referrer-Policy", "no-referrer")
	}
	if a.body != nil || a.raw != nil || a.parts != nil {
		header.Set("Content-Type", "application/json; charset=utf-8")
	}
	x.status = a.status
	w.WriteHeader(a.status)
}

// logEncode logs that an answer, or a part of it, has no JSON form. The text of the
// error may hold a value.
func (x *exchange) logEncode(ctx context.Context, err error) {
	x.log.LogAttrs(ctx, slog.LevelError, "contactshttp: encode the answer",
		slog.String("route", x.route), slog.String("request_id", x.id), slog.String("type", fmt.Sprintf("%T", err)))
}

// show lets a page answer.
func (x *exchange) show(w http.ResponseWriter, r *http.Request, page http.Handler) {
	w.Header().Set(headerRequestID, x.id)
	page.ServeHTTP(&recorder{w, x}, r)
	if x.status == 0 { // it wrote nothing, which net/http sends as a 200
		x.status = http.StatusOK
	}
}

// A recorder notes for the log what a page answers.
type recorder struct {
	http.ResponseWriter
	x *exchange
}

// WriteHeader implements [http.ResponseWriter].
func (r *recorder) WriteHeader(status int) {
	if r.x.status == 0 && status >= http.StatusOK {
		r.x.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (r *recorder) Write(p []byte) (int, error) {
	if r.x.status == 0 {
		r.x.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.x.bytes += n
	return n, err
}

// Unwrap is for [http.ResponseController].
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
