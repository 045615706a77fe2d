// Package apidocs is the reference of the REST API as a web page, for
// contactshttp.Options.Docs:
//
//	handler := contactshttp.NewHandler(svc, &contactshttp.Options{Docs: apidocs.Handler(nil)})
//
// The page is at {prefix}/docs. It shows {prefix}/openapi.json with Swagger UI, and
// people can send requests from it. Everything that it needs is in the program: it
// works without any network but its own server, and loads nothing from another one.
//
// The page has no inline script, no inline style and no eval, and its
// Content-Security-Policy allows none. An API key that is entered stays in the memory
// of the page. It is sent to the page's own server alone, is not stored, and is not in
// the address.
//
// The package adds some 0.5 MB to a program. One that does not import it carries
// nothing of it.
package apidocs

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"time"
)

// Options are the options of [Handler]. The zero value, and nil, is the default.
type Options struct {
	// Title is the title of the page. "": "API reference".
	Title string

	// ReadOnly leaves out what sends requests: "Try it out" and "Authorize".
	ReadOnly bool
}

// Handler returns the page and its files, for contactshttp.Options.Docs. It takes
// GET and HEAD for /docs, which is the page, and for /docs/FILE. /docs/ redirects to
// the page. All addresses in the page are relative, so it works under every prefix
// and in an [http.StripPrefix]. It is safe for concurrent use, and has nothing to
// close.
func Handler(opts *Options) http.Handler {
	if opts == nil {
		opts = new(Options)
	}
	files := assets()
	mux := http.NewServeMux()
	mux.Handle("GET /docs", newPage(opts, files))
	mux.HandleFunc("GET /docs/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "../docs") // http.Redirect would leave out the prefix
		w.WriteHeader(http.StatusPermanentRedirect)
	})
	for _, a := range files {
		mux.Handle("GET /docs/"+a.name, a)
	}
	return guard(mux)
}

// policy forbids everything but the files of the page and requests to its server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard adds to every answer what protects the page.
func guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		h.ServeHTTP(w, r)
	})
}

//go:embed index.html
var index string

// A page is the HTML of the page, with its hash.
type page struct {
	html []byte
	tag  string
}

func newPage(opts *Options, files map[role]*asset) *page {
	var html bytes.Buffer
	err := template.Must(template.New("index.html").Parse(index)).Execute(&html, map[string]any{
		"Title":    cmp.Or(opts.Title, "API reference"),
		"ReadOnly": opts.ReadOnly,
		"Version":  rendererVersion,
		"Style":    files[style].name,
		"Icon":     files[icon].name,
		"Renderer": files[renderer].name,
		"Init":     files[initScript].name,
	})
	if err != nil { // the template is compiled in
		panic(fmt.Errorf("apidocs: %w", err))
	}
	return &page{html.Bytes(), `"` + hash(html.Bytes()) + `"`}
}

// ServeHTTP implements [http.Handler].
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", p.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.html))
}

// hash tells one version of a text from others.
func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
