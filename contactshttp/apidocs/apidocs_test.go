package apidocs_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/swaggest/swgui/v5/static"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/contactshttp/apidocs"
	"example.com/contacts/store/memory"
)

// newAPI returns the API on an empty store.
func newAPI(t testing.TB, opts *contactshttp.Options) http.Handler {
	t.Helper()
	svc, err := contacts.New(memory.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return contactshttp.NewHandler(svc, opts)
}

// ask sends a request without an API key. headers are names and values.
func ask(h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const page = "/api/v1/docs"

var address = regexp.MustCompile(`(?:src|href)="([^"]*)"`)

// filesOf returns the paths of the files that the page names.
func filesOf(t testing.TB, html string) (paths []string) {
	t.Helper()
	for _, m := range address.FindAllStringSubmatch(html, -1) {
		if name, ok := strings.CutPrefix(m[1], "docs/"); ok {
			paths = append(paths, page+"/"+name)
		}
	}
	if len(paths) != 4 {
		t.Fatalf("the page names the files %v, want four", paths)
	}
	return paths
}

func TestDocsFiles(t *testing.T) {
	t.Parallel()
	h := newAPI(t, &contactshttp.Options{Docs: apidocs.Handler(nil), RateLimit: 1})
	html := ask(h, "GET", page)
	if html.Code != 200 || html.Header().Get("Content-Type") != "text/html; charset=utf-8" || html.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("the page: status %d, headers %v", html.Code, html.Header())
	}
	if html.Header().Get("X-Request-ID") == "" {
		t.Error("the page has no X-Request-ID")
	}
	tag := html.Header().Get("ETag")
	if again := ask(h, "GET", page, "If-None-Match", tag); tag == "" || again.Code != 304 || again.Body.Len() > 0 {
		t.Errorf("ETag %q: asked again, the page is %d", tag, again.Code)
	}
	for _, path := range append(filesOf(t, html.Body.String()), page) {
		plain, packed := ask(h, "GET", path), ask(h, "GET", path, "Accept-Encoding", "br, gzip;q=0.5")
		if plain.Code != 200 || packed.Code != 200 {
			t.Fatalf("%s: status %d, and %d with gzip", path, plain.Code, packed.Code)
		}
		if got := plain.Header().Get("Content-Encoding"); got != "" {
			t.Errorf("%s: Content-Encoding %q for a client that takes none", path, got)
		}
		body := io.Reader(packed.Body)
		if packed.Header().Get("Content-Encoding") == "gzip" {
			if packed.Header().Get("Vary") != "Accept-Encoding" || plain.Header().Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s: no Vary", path)
			}
			var err error
			if body, err = gzip.NewReader(packed.Body); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, plain.Body.Bytes()) {
			t.Errorf("%s: gzip has %d bytes (%v), identity %d", path, len(got), err, plain.Body.Len())
		}
		if path == page {
			continue
		}
		if got := plain.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
		if !strings.Contains(path, "5.") {
			t.Errorf("%s has no version in its name", path)
		}
	}
	for _, refused := range []string{"gzip;q=0", "br", "identity, gzip; q=0.000", "gzip;q=x", "*;q=0"} {
		if got := ask(h, "GET", filesOf(t, html.Body.String())[1], "Accept-Encoding", refused).Header().Get("Content-Encoding"); got != "" {
			t.Errorf("Accept-Encoding %q gets %q", refused, got)
		}
	}
	for _, path := range []string{page + "/other.js", page + "/index.html", page + "/init.js", page + "/a/b"} {
		if got := ask(h, "GET", path); got.Code != 404 || got.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s: status %d, want 404 with the policy", path, got.Code)
		}
	}
	if got := ask(h, "GET", page+"/"); got.Code != 308 || got.Header().Get("Location") != "../docs" {
		t.Errorf("%s/: %d to %q", page, got.Code, got.Header().Get("Location"))
	}
	if got := ask(h, "POST", page); got.Code != 405 {
		t.Errorf("POST: status %d", got.Code)
	}
	none := newAPI(t, nil)
	for _, path := range []string{page, page + "/", page + "/init.js"} {
		if got := ask(none, "GET", path); got.Code != 404 {
			t.Errorf("without Docs, %s: status %d", path, got.Code)
		}
	}
}

func TestDocsFilesOverTheWire(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newAPI(t, &contactshttp.Options{Docs: apidocs.Handler(nil)}))
	defer server.Close()
	for _, path := range append(filesOf(t, ask(newAPI(t, &contactshttp.Options{Docs: apidocs.Handler(nil)}), "GET", page).Body.String()), page) {
		r, err := http.NewRequestWithContext(t.Context(), "HEAD", server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || len(body) > 0 {
			t.Errorf("HEAD %s: status %d with %d bytes: %v", path, resp.StatusCode, len(body), err)
		}
	}
}

const wantPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var (
	inlineScript = regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>\s*[^<\s]`)
	inlineOther  = regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:`)
)

func TestDocsPolicy(t *testing.T) {
	t.Parallel()
	h := newAPI(t, &contactshttp.Options{Docs: apidocs.Handler(&apidocs.Options{Title: `A <b>"title"</b>`, ReadOnly: true})})
	html := ask(h, "GET", page).Body.String()
	for _, path := range append(filesOf(t, html), page, page+"/", page+"/other", page+"//other", page+"/./other") {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
			header := ask(h, method, path).Header()
			for name, want := range map[string]string{
				"Content-Security-Policy": wantPolicy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			} {
				if got := header.Get(name); got != want {
					t.Errorf("%s %s: %s: %q, want %q", method, path, name, got, want)
				}
			}
		}
	}
	if got := ask(h, "GET", page+"s").Header().Get("Content-Security-Policy"); got != "" {
		t.Errorf("another path has the policy %q", got)
	}
	if inline := append(inlineScript.FindAllString(html, -1), inlineOther.FindAllString(html, -1)...); inline != nil {
		t.Errorf("the page has %q", inline)
	}
	if want := `<title>A &lt;b&gt;&#34;title&#34;&lt;/b&gt;</title>`; !strings.Contains(html, want) {
		t.Errorf("the page lacks %s:\n%s", want, html)
	}
	if !strings.Contains(html, `data-read-only="true"`) {
		t.Error("the page does not say that it is read-only")
	}
	for _, wrong := range []string{`<script>alert(1)</script>`, `<script defer> x()</script>`} {
		if !inlineScript.MatchString(wrong) {
			t.Errorf("%s is not found", wrong)
		}
	}
}

func TestDocsAssets(t *testing.T) {
	t.Parallel()
	h := newAPI(t, &contactshttp.Options{Docs: apidocs.Handler(nil)})
	html := ask(h, "GET", page).Body.String()
	version := regexp.MustCompile(`content="Swagger UI ([0-9.]+)"`).FindStringSubmatch(html)
	if version == nil {
		t.Fatalf("the page does not say its version:\n%s", html)
	}
	var carried [][]byte // by the renderer's package
	for _, name := range []string{"swagger-ui-bundle.js.gz", "swagger-ui.css.gz", "favicon-32x32.png"} {
		content, err := static.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		carried = append(carried, content)
	}
	found := 0
	for _, path := range filesOf(t, html) {
		if !strings.Contains(path, "-"+version[1]) {
			t.Errorf("%s is not named after the version %s", path, version[1])
		}
		content := ask(h, "GET", path, "Accept-Encoding", "gzip").Body.Bytes()
		if slices.ContainsFunc(carried, func(c []byte) bool { return bytes.Equal(c, content) }) {
			found++
		}
	}
	if found != len(carried) {
		t.Errorf("%d of %d files are those of the renderer's package", found, len(carried))
	}
	bundle := ask(h, "GET", filesOf(t, html)[2]).Body.String()
	if !strings.Contains(bundle, `PACKAGE_VERSION:"`+version[1]+`"`) {
		t.Errorf("the bundle is not of version %s", version[1])
	}
}
