package apidocs

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/swaggest/swgui/v5/static"
)

// rendererVersion is the version of Swagger UI that the imported package carries.
// The names of the files have it, so that browsers may keep them for ever.
const rendererVersion = "5.29.0"

//go:embed init.js
var initJS []byte

// A role is what the page needs a file for.
type role int

const (
	renderer role = iota
	style
	icon
	initScript
)

// An asset is a file of the page.
type asset struct {
	name       string // with what changes when its content does
	mediaType  string
	content    []byte
	compressed bool // content is gzip's
}

// assets returns the files of the page.
func assets() map[role]*asset {
	const script = "text/javascript; charset=utf-8"
	return map[role]*asset{
		renderer:   {"swagger-ui-bundle-" + rendererVersion + ".js", script, rendererFile("swagger-ui-bundle.js.gz"), true},
		style:      {"swagger-ui-" + rendererVersion + ".css", "text/css; charset=utf-8", rendererFile("swagger-ui.css.gz"), true},
		icon:       {"favicon-32x32-" + rendererVersion + ".png", "image/png", rendererFile("favicon-32x32.png"), false},
		initScript: {"init-" + rendererVersion + "-" + hash(initJS) + ".js", script, initJS, false},
	}
}

// rendererFile returns a file of the renderer as its package has it.
func rendererFile(name string) []byte {
	content, err := static.FS.ReadFile(name)
	if err != nil { // it is compiled in
		panic(fmt.Errorf("apidocs: %w", err))
	}
	return content
}

// ServeHTTP implements [http.Handler].
func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.mediaType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	if a.compressed {
		h.Set("Vary", "Accept-Encoding")
		if !acceptsGzip(r.Header) {
			a.expand(w)
			return
		}
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(a.content)))
	_, _ = w.Write(a.content) // it fails only if the client is gone
}

// expand writes the content as it was before it was compressed.
func (a *asset) expand(w http.ResponseWriter) {
	content, err := gzip.NewReader(bytes.NewReader(a.content))
	if err != nil { // it is compiled in
		panic(fmt.Errorf("apidocs: %s: %w", a.name, err))
	}
	_, _ = io.Copy(w, content) // it fails only if the client is gone
}

// acceptsGzip reports whether the client takes gzip (RFC 9110, section 12.5.3).
func acceptsGzip(h http.Header) bool {
	for _, v := range h.Values("Accept-Encoding") {
		for element := range strings.SplitSeq(v, ",") {
			coding, parameters, err := mime.ParseMediaType(element)
			if err != nil || coding != "gzip" {
				continue
			}
			weight, given := parameters["q"]
			q, err := strconv.ParseFloat(weight, 64)
			return !given || err == nil && q > 0
		}
	}
	return false
}
