package contactshttp

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"example.com/contacts"
)

// Options are the options of [NewHandler]. The zero value, and nil, is the
// documented behaviour.
type Options struct {
	// Prefix is the path of the routes: "/api/v1" serves
	// "/api/v1/contacts/create". Location starts with it too. A missing first
	// slash is added, and a last slash is removed. "/" serves the routes at the
	// root. If an [http.StripPrefix] around the handler removes a path, Location
	// starts with that path. "": "/api/v1".
	Prefix string

	// KeyInQuery also accepts the API key in the query parameter api_key, as
	// documented. Queries appear in logs, histories and Referer headers; headers
	// do not. False: api_key is an unknown parameter.
	KeyInQuery bool

	// RateLimit is how many requests one API key may make in a minute. A key that
	// was silent for a minute may make them all at once. A request over the limit
	// is CodeRateLimitExceeded. The documented value is 60. Each handler counts
	// for itself, and a batch is one request. Requests with an invalid key are
	// not counted. Throttle key guessing by client address, in your proxy. 0 and
	// less: no limit.
	RateLimit int

	// Logger gets one line for each request, and one for each panic. No line
	// holds a key, a query, an id or anything of a contact. nil: nothing is
	// logged.
	Logger *slog.Logger

	// Now is the clock of rate limits and of durations in the log.
	// nil: time.Now.
	Now func() time.Time
}

const defaultPrefix = "/api/v1"

// NewHandler returns the REST API of the service. It is safe for concurrent use,
// starts no goroutine, and has nothing to close. All options are valid. NewHandler
// panics if svc is nil.
func NewHandler(svc *contacts.Service, opts *Options) http.Handler {
	if svc == nil {
		panic("contactshttp: the service is nil; make one first, with contacts.New")
	}
	if opts == nil {
		opts = new(Options)
	}
	h := &handler{
		svc:        svc,
		prefix:     defaultPrefix,
		keyInQuery: opts.KeyInQuery,
		log:        opts.Logger,
		now:        opts.Now,
		mux:        http.NewServeMux(),
	}
	if opts.Prefix != "" {
		h.prefix = cleanPrefix(opts.Prefix)
	}
	h.description = OpenAPI(opts.Prefix)
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.now == nil {
		h.now = time.Now
	}
	if opts.RateLimit > 0 {
		h.limiter = newLimiter(opts.RateLimit, h.now)
	}
	for _, r := range h.routes() {
		h.mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) { h.serve(r, w, req) })
	}
	return h
}

// A handler is what NewHandler returns.
type handler struct {
	svc        *contacts.Service
	prefix     string // "" or "/…", without a slash at its end
	keyInQuery bool
	limiter    *limiter // nil: no limit
	log        *slog.Logger
	now        func() time.Time
	mux        *http.ServeMux // of the paths after the prefix

	description []byte // in OpenAPI, with this prefix
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

// serve answers a request for the path of the route.
func (h *handler) serve(r route, w http.ResponseWriter, req *http.Request) {
	x := exchangeOf(req.Context())
	if r.methods == nil {
		x.fail(w, req, errNoRoute())
		return
	}
	x.route = h.prefix + r.pattern
	e, ok := r.find(req.Method)
	switch {
	case req.Method == http.MethodOptions:
		x.send(w, req, r.options())
	case !ok:
		x.fail(w, req, errMethod(r.allow()))
	default:
		a, err := h.answer(e, req)
		if err != nil {
			x.fail(w, req, err)
			return
		}
		x.send(w, req, a)
	}
}

// answer returns the answer of an endpoint, within the rate limit of the key.
func (h *handler) answer(e endpoint, req *http.Request) (*answer, error) {
	c := &call{request: req, endpoint: e}
	agree := c.readQuery(h.keyInQuery)
	if e.operation == "" {
		return h.do(c)
	}
	if !agree {
		return nil, contacts.ErrInvalidKey
	}
	if h.limiter == nil || c.key == "" {
		return h.do(c)
	}
	taken, wait := h.limiter.take(c.key)
	if taken == nil {
		return nil, errRate(wait)
	}
	code := contacts.CodeServerError // a panic says nothing about the key
	defer func() { taken.done(code) }()
	a, err := h.do(c)
	code = ""
	if err != nil {
		code = failureOf(err).code
	}
	return a, err
}

// do makes the call, unless the request itself is wrong.
func (h *handler) do(c *call) (*answer, error) {
	if err := c.read(); err != nil {
		return nil, h.refuse(c, err)
	}
	return c.endpoint.do(c)
}

// refuse returns the error of a request that is wrong. What is wrong with its key
// comes first.
func (h *handler) refuse(c *call, err error) error {
	if c.endpoint.operation == "" {
		return err
	}
	if _, refused := h.svc.Authorize(c.request.Context(), c.key, c.endpoint.operation); refused != nil {
		return refused
	}
	return err
}

// cleanPrefix returns the prefix with a slash at its start and none at its end.
func cleanPrefix(prefix string) string {
	return strings.TrimRight("/"+strings.TrimLeft(prefix, "/"), "/")
}

// inside returns the request as the mux sees it, without the prefix. It returns
// false for a path outside of the prefix, and for one that the mux would redirect.
func (h *handler) inside(r *http.Request) (*http.Request, bool) {
	u := *r.URL
	var ok, rawOK bool
	u.Path, ok = strings.CutPrefix(r.URL.Path, h.prefix)
	u.RawPath, rawOK = strings.CutPrefix(r.URL.RawPath, escape(h.prefix))
	if !ok || r.URL.RawPath != "" && !rawOK {
		return nil, false
	}
	p := u.EscapedPath()
	if clean := path.Clean(p); !strings.HasPrefix(p, "/") || p != clean && p != clean+"/" {
		return nil, false
	}
	in := *r
	in.URL = &u
	return &in, true
}

// location returns the path of a contact, as the client sees it.
func (h *handler) location(r *http.Request, id string) string {
	return stripped(r) + escape(h.prefix) + "/contacts/" + id
}

// stripped returns what the program around the handler removed from the start of
// the request's path, as http.StripPrefix does. r is the request that the mux got.
func stripped(r *http.Request) string {
	asked, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		return ""
	}
	x := exchangeOf(r.Context())
	front, ok := strings.CutSuffix(asked.EscapedPath(), x.path)
	if !ok || !strings.HasPrefix(front, "/") || strings.HasPrefix(front, "//") { // "//" would name another host
		return ""
	}
	return front
}

func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }
