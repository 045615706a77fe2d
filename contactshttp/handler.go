package contactshttp

import (
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"example.com/contacts"
)

// Options are the knobs of [NewHandler]. The zero value, and nil, is the
// documented behaviour.
type Options struct {
	// Prefix is the path under which clients reach the routes, and what
	// Location begins with: "/api/v1" serves "/api/v1/contacts/create". A slash
	// that is missing at its start or is too much at its end is put right; "/"
	// serves the routes at the root. What an [http.StripPrefix] around the
	// handler takes away is put in front of Location again. "": "/api/v1".
	Prefix string

	// KeyInQuery takes the API key from the parameter api_key of the query too,
	// as documented. Queries get into logs, histories and Referer headers where
	// headers do not. False: api_key is an unknown parameter.
	KeyInQuery bool

	// RateLimit is how many requests a minute one API key may make in the long
	// run, and how many of them at once, after a minute of silence; over it the
	// answer is CodeRateLimitExceeded. The
	// documented value is 60. Each handler counts for itself, and a batch is
	// one request. Keys that the service does not accept are refused without
	// being counted: to slow down whoever tries keys is for what stands in
	// front, which knows addresses. 0 and less: no limit.
	RateLimit int

	// Logger gets one line for each request, and one for each panic. None has a
	// key, a query, an id, or anything of a contact. nil: nothing is logged.
	Logger *slog.Logger

	// Now is the clock of rate limits and of durations in the log.
	// nil: time.Now.
	Now func() time.Time
}

const defaultPrefix = "/api/v1"

// NewHandler returns the REST API of the service. It may serve any number of
// requests at once, starts no goroutine, and has nothing to close. No options
// are wrong; a nil svc is a mistake in the program, and panics.
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
		h.prefix = strings.TrimRight("/"+strings.TrimLeft(opts.Prefix, "/"), "/")
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
	mux        *http.ServeMux // of the paths behind the prefix

	description []byte // in OpenAPI, with this prefix
}

// A route is one path, with what can be done there.
type route struct {
	pattern string // of [http.ServeMux], behind the prefix, without a method
	methods map[string]operation
}

// An operation is one method of a route.
type operation struct {
	open       bool     // needs no key
	need       need     // what the key is checked for, where the request is refused before the service sees it
	parameters []string // of the query, besides the key
	media      []string // types of the body that it takes; nil: it reads none
	do         func(*call) (*answer, error)
}

const (
	typeJSON       = "application/json"
	typeMergePatch = "application/merge-patch+json" // RFC 7396
)

// routes returns the routes. Methods are not in their patterns, since the
// answers for those that are missing are ours.
func (h *handler) routes() []route {
	body := []string{typeJSON}
	return []route{
		{"/contacts", map[string]operation{
			http.MethodGet: {need: toRead, parameters: listParameters(), do: h.list},
		}},
		{"/contacts/create", map[string]operation{
			http.MethodPost: {need: toCreate, media: body, do: h.create},
		}},
		{"/contacts/batch", map[string]operation{
			http.MethodPost: {need: toCreate, media: body, do: h.createBatch},
		}},
		{"/contacts/{id}", map[string]operation{
			http.MethodGet:    {need: toRead, do: h.get},
			http.MethodDelete: {need: toWrite, do: h.delete},
		}},
		{"/contacts/{id}/update", map[string]operation{
			http.MethodPut:   {need: toWrite, media: body, do: h.replace},
			http.MethodPatch: {need: toWrite, media: []string{typeJSON, typeMergePatch}, do: h.update},
		}},
		{"/contacts/{id}/restore", map[string]operation{
			http.MethodPost: {need: toWrite, do: h.restore},
		}},
		{"/openapi.json", map[string]operation{
			http.MethodGet: {open: true, do: h.describe},
		}},
		{"/", nil}, // all other paths
	}
}

// find returns the operation of the method; HEAD is a GET whose answer net/http
// sends without the body (RFC 9110, section 9.3.2).
func (r *route) find(method string) (operation, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	op, ok := r.methods[method]
	return op, ok
}

// allow returns the methods of the route, for Allow.
func (r *route) allow() string {
	methods := slices.Sorted(maps.Keys(r.methods))
	if _, ok := r.methods[http.MethodGet]; ok {
		methods = append(methods, http.MethodHead)
	}
	methods = append(methods, http.MethodOptions)
	return strings.Join(methods, ", ")
}

// options answers OPTIONS.
func (r *route) options() *answer {
	a := &answer{status: http.StatusNoContent}
	a.set("Allow", r.allow())
	if op, ok := r.methods[http.MethodPatch]; ok {
		a.set("Accept-Patch", strings.Join(op.media, ", ")) // RFC 5789, section 3.1
	}
	return a
}

// serve answers a request whose path is that of the route.
func (h *handler) serve(r route, w http.ResponseWriter, req *http.Request) {
	x := exchangeOf(req.Context())
	if r.methods == nil {
		x.fail(w, req, errNoRoute())
		return
	}
	x.route = h.prefix + r.pattern
	op, ok := r.find(req.Method)
	switch {
	case req.Method == http.MethodOptions:
		x.send(w, req, r.options())
	case !ok:
		x.fail(w, req, errMethod(r.allow()))
	default:
		a, err := h.answer(op, req)
		if err != nil {
			x.fail(w, req, err)
			return
		}
		x.send(w, req, a)
	}
}

// answer does what the request asks for.
func (h *handler) answer(op operation, req *http.Request) (*answer, error) {
	c := &call{request: req, op: op}
	agree := c.readQuery(h.keyInQuery)
	if op.open {
		if err := c.wrong.err(); err != nil {
			return nil, err
		}
		return op.do(c)
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
	verdict := contacts.CodeServerError // until there is another: a panic proves no key
	defer func() { taken.settle(verdict) }()
	a, err := h.do(c)
	verdict = ""
	if err != nil {
		verdict = failureOf(err).code
	}
	return a, err
}

// do calls the operation, unless the request itself is wrong. What is wrong with
// the key comes before that.
func (h *handler) do(c *call) (*answer, error) {
	if c.op.media != nil {
		if err := checkMedia(c.request.Header, c.op.media); err != nil {
			return nil, h.refuse(c, err)
		}
	}
	return c.op.do(c)
}

// inside returns the request as the mux sees it, without the prefix; false if its
// path is another one, or is one that the mux would redirect.
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

// stripped returns what the program around the handler took away from the start
// of the request's path, as http.StripPrefix does. The URL of r is that behind the
// handler's own prefix.
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
