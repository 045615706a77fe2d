package contactshttp

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"example.com/contacts"
)

// Options are the options of [NewHandler]. The zero value, and nil, is the
// documented behaviour with two exceptions: the key is not accepted in the query
// (KeyInQuery), and there is no rate limit (RateLimit).
type Options struct {
	// Prefix is the path of the routes: "/api/v1" serves
	// "/api/v1/contacts/create". Location starts with it too. A missing first
	// slash is added, and a last slash is removed. "/" serves the routes at the
	// root. If an [http.StripPrefix] around the handler removes a path, Location
	// starts with that path. "": "/api/v1".
	Prefix string

	// ExternalPrefix is a path that a proxy in front of the server removes: "/gw"
	// if clients ask for "/gw/api/v1/contacts". Location and the paths of the
	// description start with it. "": none.
	ExternalPrefix string

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

	// Limiter replaces the limiter of RateLimit, for programs that run on several
	// machines, for example. nil: that of RateLimit.
	Limiter Limiter

	// Docs is a page for people, such as that of package apidocs. It answers GET
	// and HEAD for {prefix}/docs and for the paths below it. It sees those paths
	// without the prefix: /docs/FILE. They need no API key and are not counted by
	// the rate limit. nil: there is no page, and these paths are CodeNotFound.
	Docs http.Handler

	// RequestID returns the id of a request: that of the router around the
	// handler, for example. An id must have 1 to 128 printable ASCII characters
	// without spaces. nil, and for any other id: the X-Request-ID of the request,
	// or a random id.
	RequestID func(*http.Request) string

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
// starts no goroutine, and has nothing to close. No value of an option is an error.
// NewHandler panics if svc is nil.
func NewHandler(svc *contacts.Service, opts *Options) http.Handler {
	if svc == nil {
		panic("contactshttp: the service is nil; make one first, with contacts.New")
	}
	if opts == nil {
		opts = new(Options)
	}
	h := &handler{
		svc:        svc,
		dry:        svc.DryRun(),
		prefix:     defaultPrefix,
		external:   escape(cleanPrefix(opts.ExternalPrefix)),
		keyInQuery: opts.KeyInQuery,
		limiter:    opts.Limiter,
		docs:       opts.Docs,
		requestID:  opts.RequestID,
		log:        slog.New(slog.DiscardHandler),
		now:        opts.Now,
		mux:        http.NewServeMux(),
	}
	if opts.Prefix != "" {
		h.prefix = cleanPrefix(opts.Prefix)
	}
	h.description = describe(cleanPrefix(opts.ExternalPrefix)+h.prefix+"/", opts.KeyInQuery)
	if opts.Logger != nil {
		h.log = slog.New(carefulHandler{opts.Logger.Handler()})
	}
	if h.now == nil {
		h.now = time.Now
	}
	if h.limiter == nil && opts.RateLimit > 0 {
		h.limiter = NewLimiter(opts.RateLimit, h.now)
	}
	for _, r := range h.routes() {
		h.mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) { h.serve(r, w, req) })
	}
	return h
}

// A handler is what NewHandler returns.
type handler struct {
	svc        *contacts.Service
	dry        *contacts.Service // its dry run
	prefix     string            // "" or "/…", without a slash at its end
	external   string            // the same, escaped
	keyInQuery bool
	limiter    Limiter                    // nil: no limit
	docs       http.Handler               // nil: no page
	requestID  func(*http.Request) string // nil: none
	log        *slog.Logger
	now        func() time.Time
	mux        *http.ServeMux // of the paths after the prefix

	description []byte // in OpenAPI, as of a handler without a StripPrefix around it
}

// ServeHTTP implements [http.Handler]. It sets the Pattern of the request to its
// route, for the middleware around the handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{log: h.log, asked: r, path: r.URL.EscapedPath(), docs: h.isDocs(r), started: h.now()}
	x.id = requestID(r.Header.Get(headerRequestID))
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	defer func() { x.logRequest(r, h.now()) }()
	defer x.rescue(w, r)
	if h.requestID != nil {
		x.id = requestID(h.requestID(x.asked), x.id)
	}
	in, ok := h.inside(r)
	if !ok {
		x.fail(w, r, errNoRoute(h.front(r)))
		return
	}
	h.mux.ServeHTTP(w, in)
}

// serve answers a request for the path of the route.
func (h *handler) serve(r route, w http.ResponseWriter, req *http.Request) {
	x := exchangeOf(req.Context())
	if r.methods == nil {
		x.fail(w, req, errNoRoute(h.front(req)))
		return
	}
	x.route = h.prefix + r.pattern
	x.asked.Pattern = x.route
	e, ok := r.find(req.Method)
	switch {
	case req.Method == http.MethodOptions:
		x.send(w, req, r.options())
	case !ok:
		x.fail(w, req, errMethod(r.allow()))
	case e.page != nil:
		x.show(w, req, e.page)
	default:
		c := &call{request: req, endpoint: e, keyInQuery: h.keyInQuery}
		if c.isDryRun() {
			w.Header().Set(headerDryRun, "true")
		}
		a, err := h.answer(c)
		if err != nil {
			x.fail(w, req, err)
			return
		}
		x.send(w, req, a)
	}
}

// answer returns the answer to a call, within the rate limit of the key.
func (h *handler) answer(c *call) (*answer, error) {
	if c.endpoint.operation == "" {
		return h.do(c)
	}
	if !c.readKey() {
		return nil, contacts.ErrInvalidKey
	}
	if h.limiter == nil || c.key == "" {
		return h.do(c)
	}
	ctx, key := c.request.Context(), sha256.Sum256([]byte(c.key))
	quota, err := h.limiter.Take(ctx, key)
	if err != nil {
		level := slog.LevelError
		if ctx.Err() != nil { // a client that went away is no fault
			level = slog.LevelInfo
		}
		h.log.LogAttrs(ctx, level, "contactshttp: the limiter failed", slog.String("cause", err.Error()))
		return nil, contacts.ErrServer
	}
	x := exchangeOf(ctx)
	if quota.Refused {
		x.quota = quota
		return nil, errRate(quota.Reset)
	}
	code := contacts.CodeServerError // a panic says nothing about the key
	defer func() {
		if code != contacts.CodeInvalidKey {
			x.quota = quota
		}
		h.limiter.Done(ctx, key, code)
	}()
	a, err := h.do(c)
	code = ""
	if err != nil {
		code = failureOf(err).code
	}
	return a, err
}

// do makes the call, unless the request itself is wrong. Without a key the Service
// refuses the call, so that nothing more of the request is read.
func (h *handler) do(c *call) (*answer, error) {
	needsKey := c.endpoint.operation != ""
	if needsKey && c.key == "" {
		_, err := c.endpoint.do(c)
		f := failureOf(err)
		if f.code == contacts.CodeAuthenticationRequired {
			f.message = h.noKey(c.request)
		}
		return nil, f
	}
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

// isDocs reports whether the path is that of the page, or below it.
func (h *handler) isDocs(r *http.Request) bool {
	path, inside := strings.CutPrefix(r.URL.Path, h.prefix)
	rest, ok := strings.CutPrefix(path, "/docs")
	return h.docs != nil && inside && ok && (rest == "" || rest[0] == '/')
}

// front returns the path before the routes, as the client sees it.
func (h *handler) front(r *http.Request) string {
	return h.external + stripped(r) + escape(h.prefix)
}

// maxStripped bounds what an answer repeats of the path.
const maxStripped = 1 << 10

// stripped returns what the program around the handler removed from the start of
// the request's path, as http.StripPrefix does. r is a request with an exchange.
func stripped(r *http.Request) string {
	asked, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		return ""
	}
	x := exchangeOf(r.Context())
	front, ok := strings.CutSuffix(asked.EscapedPath(), x.path)
	if !ok || !strings.HasPrefix(front, "/") || strings.HasPrefix(front, "//") || // "//" would name another host
		len(front) > maxStripped {
		return ""
	}
	return front
}

func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }
