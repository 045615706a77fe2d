package apidocs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/contactshttp/apidocs"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/memory"
)

// TestDocsInBrowser opens the page in a browser that reaches no other server. A
// script of the test waits until all operations are there, and posts what it sees. It
// enters an API key, creates a contact and lists what is there, and in one place it opens
// each operation.
func TestDocsInBrowser(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	browser := findBrowser(t)
	for _, test := range []struct {
		name string
		site
		violations []string
	}{
		{name: "default", site: site{page: "/api/v1/docs", whole: true}},
		{name: "prefix", site: site{page: "/crm/v1/docs", prefix: "/crm/v1/"}},
		{name: "stripped", site: site{page: "/outer/api/v1/docs", strip: "/outer"}},
		{name: "read only", site: site{page: "/api/v1/docs", docs: apidocs.Options{ReadOnly: true}}},
		{name: "inline script", site: site{page: "/api/v1/docs", inline: true}, violations: []string{"script-src-elem inline"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := test.visit(t, browser)
			if diff := cmp.Diff(test.violations, v.Violations); diff != "" {
				t.Errorf("violations of the policy (-want +got):\n%s", diff)
			}
			if v.Errors != nil || v.Stored != 0 || v.Address != "" {
				t.Errorf("errors in the page: %q; %d values in the browser's storage; after the #, the address has %q", v.Errors, v.Stored, v.Address)
			}
			operations := test.operations(t)
			if diff := cmp.Diff(operations, v.Operations); diff != "" {
				t.Errorf("operations (-described +shown):\n%s", diff)
			}
			for _, path := range v.Paths {
				if !strings.HasPrefix(path, strings.TrimSuffix(test.page, "docs")) {
					t.Errorf("the page shows the path %s, and the client has to ask below %s", path, strings.TrimSuffix(test.page, "docs"))
				}
			}
			switch {
			case test.docs.ReadOnly:
				if v.CanTry || v.CanAuthorize {
					t.Errorf("read-only, and it can be tried: %t; authorised: %t", v.CanTry, v.CanAuthorize)
				}
			case v.Created.Status != "201" || !strings.Contains(v.Created.Body, created) || !slices.Contains(v.contacts, created):
				t.Errorf("a create by Try it out: status %q, %s; then the store has %q", v.Created.Status, v.Created.Body, v.contacts)
			case v.Listed.Status != "200" || !strings.Contains(v.Listed.Body, created):
				t.Errorf("a list by Try it out: status %q, %s", v.Listed.Status, v.Listed.Body)
			}
			if test.whole {
				if diff := cmp.Diff(operations, v.Opened); diff != "" {
					t.Errorf("operations that were opened (-described +opened):\n%s", diff)
				}
				if diff := cmp.Diff(schemas(t), v.Schemas); diff != "" {
					t.Errorf("schemas (-described +shown):\n%s", diff)
				}
				for _, shown := range []struct {
					schema string
					fields []string
				}{{"CreateContact", v.Request}, {"Contact", v.Response}} {
					if diff := cmp.Diff(fields(t, shown.schema), shown.fields); diff != "" {
						t.Errorf("fields of %s (-described +visible):\n%s", shown.schema, diff)
					}
				}
			}
		})
	}
}

// browsers are the names of programs that can be run without a display.
var browsers = []string{"chromium", "chromium-browser", "google-chrome"}

func findBrowser(t *testing.T) string {
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("none of %v is installed", browsers)
	}
	t.Skipf("none of %v is installed", browsers)
	return ""
}

// A site is a server with the page.
type site struct {
	page   string // its path
	prefix string // of the handler
	strip  string // what a StripPrefix around the handler removes
	docs   apidocs.Options
	inline bool // the page has an inline script
	whole  bool // the script opens everything
}

func (s *site) handler(svc *contacts.Service) http.Handler {
	return http.StripPrefix(s.strip, contactshttp.NewHandler(svc, &contactshttp.Options{Prefix: s.prefix, Docs: apidocs.Handler(&s.docs)}))
}

// A visit is what the script saw.
type visit struct {
	Operations   []string `json:"operations"` // method and path
	Paths        []string `json:"paths"`
	Opened       []string `json:"opened"`
	Schemas      []string `json:"schemas"`
	Request      []string `json:"request"`  // fields of the body of a create
	Response     []string `json:"response"` // fields of the answer to it
	CanTry       bool     `json:"can_try"`
	CanAuthorize bool     `json:"can_authorize"`
	Created      answer   `json:"created"` // to a create by Try it out
	Listed       answer   `json:"listed"`
	Stored       int      `json:"stored"` // values in the browser's storage
	Address      string   `json:"address"`
	Errors       []string `json:"errors"`
	Violations   []string `json:"violations"`

	contacts []string // that are stored at the end, by their first names
}

// An answer is what the page shows of one.
type answer struct {
	Status string `json:"status"`
	Body   string `json:"body"`
}

// created is the first name of the contact that the script creates.
const created = "Grace"

// visit opens the page in the browser.
func (s *site) visit(t *testing.T, browser string) *visit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	store := memory.New()
	key := setUp(ctx, t, store)
	svc, err := contacts.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &probe{site: s, key: key, api: s.handler(svc), done: make(chan *visit, 1)}
	server := httptest.NewServer(p)
	defer server.Close()

	var log bytes.Buffer
	command := browse(ctx, t, browser, server.URL+s.page, &log,
		"--window-size=600,400", "--disable-software-rasterizer", "--blink-settings=imagesEnabled=false", "--remote-debugging-port=0")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel() // ends the browser
		_ = command.Wait()
	}()
	select {
	case v := <-p.done:
		v.Violations = append(v.Violations, p.reported()...)
		slices.Sort(v.Violations)
		v.Violations = slices.Compact(v.Violations)
		for c, err := range svc.Contacts(ctx, key, contacts.ListContactsInput{}) {
			if err != nil {
				t.Error(err)
				break
			}
			v.contacts = append(v.contacts, c.FirstName)
		}
		return v
	case <-ctx.Done():
		t.Fatalf("the page did not end; it waited for %q\n%s", p.waits(), log.Bytes())
		return nil
	}
}

// browse returns a run of the browser that opens a page and reaches no other server.
func browse(ctx context.Context, t *testing.T, browser, url string, log *bytes.Buffer, args ...string) *exec.Cmd {
	t.Helper()
	args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-extensions", "--disable-features=SpareRendererForSitePerProcess", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--user-data-dir=" + t.TempDir()}, args...)
	command := exec.CommandContext(ctx, browser, append(args, url)...)
	command.Stderr = log
	command.WaitDelay = 10 * time.Second
	return command
}

// setUp stores a contact, and returns an API key.
func setUp(ctx context.Context, t *testing.T, store contacts.Store) (key string) {
	t.Helper()
	admin := contacts.NewAdmin(store, nil)
	account, err := admin.CreateAccount(ctx, "Acme")
	if err != nil {
		t.Fatal(err)
	}
	key, _, err = admin.IssueKey(ctx, contacts.IssueKeyInput{AccountID: account.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}, AllTeams: true})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := contacts.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "Ada", LastName: "Lovelace"}); err != nil {
		t.Fatal(err)
	}
	return key
}

// A probe serves the site with a script of its own in the page, and takes what the
// script and the browser report.
type probe struct {
	*site
	key  string
	api  http.Handler
	done chan *visit

	mu         sync.Mutex
	violations []string
	waiting    string
}

func (p *probe) reported() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.violations
}

func (p *probe) waits() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}

// ServeHTTP implements [http.Handler].
func (p *probe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case p.page:
		p.servePage(w, r)
	case "/probe.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(p.script())
	case "/probe/violation":
		var report struct {
			Body struct {
				Directive string `json:"effective-directive"`
				Blocked   string `json:"blocked-uri"`
			} `json:"csp-report"`
		}
		_ = json.NewDecoder(r.Body).Decode(&report) // a report that cannot be read is one too
		p.mu.Lock()
		defer p.mu.Unlock()
		p.violations = append(p.violations, report.Body.Directive+" "+report.Body.Blocked)
	case "/probe/waiting":
		what, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waiting = string(what)
	case "/probe/done":
		v := new(visit)
		if err := json.NewDecoder(r.Body).Decode(v); err != nil {
			v.Errors = append(v.Errors, err.Error())
		}
		p.done <- v
	default:
		p.api.ServeHTTP(w, r)
	}
}

// servePage serves the page with the script, and has violations reported.
func (p *probe) servePage(w http.ResponseWriter, r *http.Request) {
	page := httptest.NewRecorder()
	p.api.ServeHTTP(page, r)
	maps.Copy(w.Header(), page.Header())
	w.Header().Del("Content-Length")
	w.Header().Set("Content-Security-Policy", page.Header().Get("Content-Security-Policy")+"; report-uri /probe/violation")
	add := `<head><script src="/probe.js"></script>`
	if p.inline {
		add += `<script>document.title = "inline"</script>`
	}
	w.WriteHeader(page.Code)
	_, _ = io.WriteString(w, strings.Replace(page.Body.String(), "<head>", add, 1))
}

// script returns the script with what it has to know.
func (p *probe) script() []byte {
	settings, _ := json.Marshal(map[string]any{ // plain values
		"key": p.key, "whole": p.whole, "readOnly": p.docs.ReadOnly,
		"contact": fmt.Sprintf(`{"first_name": %q, "phone_numbers": [{"phone_number": "+15551234567"}]}`, created),
	})
	text, err := os.ReadFile(filepath.Join("testdata", "probe.js"))
	if err != nil {
		return fmt.Appendf(nil, "fetch('/probe/done', {method: 'POST', body: %q})", err)
	}
	return fmt.Appendf(nil, "const settings = %s;\n%s", settings, text)
}

// operations returns what the description has, and the page must show.
func (s *site) operations(t *testing.T) (all []string) {
	t.Helper()
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(contactshttp.OpenAPI(strings.TrimSuffix(s.page, "/docs")), &document); err != nil {
		t.Fatal(err)
	}
	for path, methods := range document.Paths {
		for method := range methods {
			if slices.Contains([]string{"get", "put", "post", "patch", "delete"}, method) {
				all = append(all, method+" "+path)
			}
		}
	}
	slices.Sort(all)
	return all
}

// A schema is what the description has of a value.
type schema struct {
	Ref        string             `json:"$ref"`
	Properties map[string]*schema `json:"properties"`
	Items      *schema            `json:"items"`
}

// fields returns the fields of a schema, as the script names them.
func fields(t *testing.T, name string) (all []string) {
	t.Helper()
	var document struct {
		Components struct {
			Schemas map[string]*schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(contactshttp.OpenAPI("/"), &document); err != nil {
		t.Fatal(err)
	}
	var add func(path string, s *schema)
	add = func(path string, s *schema) {
		if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
			s = document.Components.Schemas[name]
		}
		if s.Items != nil {
			add(path+"[]", s.Items)
		}
		for name, p := range s.Properties {
			field := strings.TrimPrefix(path+"."+name, ".")
			all = append(all, field)
			add(field, p)
		}
	}
	add("", document.Components.Schemas[name])
	slices.Sort(all)
	if !slices.ContainsFunc(all, func(field string) bool { return strings.Contains(field, "[].") }) {
		t.Fatalf("nothing is nested in %s: %q", name, all)
	}
	return all
}

// schemas returns the names of those that the description has.
func schemas(t *testing.T) []string {
	t.Helper()
	var document struct {
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(contactshttp.OpenAPI("/"), &document); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(document.Components.Schemas))
}
