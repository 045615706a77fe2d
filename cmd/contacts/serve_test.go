package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/store/memory"
)

// A gatekeeper holds every request until it may go on.
type gatekeeper struct{ arrived, goOn chan struct{} }

func (g *gatekeeper) Authenticate(ctx context.Context, _ string) (*contacts.Principal, error) {
	g.arrived <- struct{}{}
	select {
	case <-g.goOn:
		return nil, contacts.ErrInvalidKey
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// get asks for a path and returns the status; 0: there was no answer.
func get(t *testing.T, client *http.Client, url string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	r.Header.Set("X-API-Key", "any")
	resp, err := client.Do(r)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// TestServe checks what the server answers, and how it stops.
func TestServe(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		grace time.Duration
		done  bool // the request under way is answered
	}{
		{"a request under way is finished", time.Minute, true},
		{"a request under way is cut off after the grace", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			store := memory.New()
			defer store.Close()
			g := &gatekeeper{make(chan struct{}), make(chan struct{})}
			svc, err := contacts.New(store, &contacts.Options{Authenticator: g})
			if err != nil {
				t.Fatal(err)
			}
			listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			log, lines := io.Pipe()
			c := &serveCommand{Prefix: "/crm", Grace: duration(test.grace), Docs: true}
			served := make(chan error, 1)
			go func() {
				served <- c.serve(ctx, listener, store, svc, slog.New(slog.NewTextHandler(lines, nil)))
				lines.Close()
			}()
			stopping := make(chan struct{})
			go func() {
				text, told := "", false
				for buffer := make([]byte, 1024); ; {
					n, err := log.Read(buffer)
					text += string(buffer[:n])
					if !told && strings.Contains(text, "msg=stopping") {
						told = true
						close(stopping)
					}
					if err != nil {
						return
					}
				}
			}()
			url := "http://" + listener.Addr().String()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/crm/openapi.json": 200, "/crm/docs": 200, "/api/v1/openapi.json": 404} {
				if got, body := get(t, client, url+path); got != want {
					t.Errorf("%s: status %d, want %d: %s", path, got, want, body)
				}
			}
			answered := make(chan int, 1)
			go func() {
				status, _ := get(t, client, url+"/crm/contacts")
				answered <- status
			}()
			<-g.arrived
			stop()
			<-stopping
			if test.done {
				close(g.goOn)
			}
			if got := <-answered; (got == http.StatusUnauthorized) != test.done {
				t.Errorf("the request under way was answered with %d", got)
			}
			if err := <-served; err != nil {
				t.Errorf("serve: %v", err)
			}
			if got, _ := get(t, client, url+"/healthz"); got != 0 {
				t.Errorf("after the end: status %d", got)
			}
		})
	}
}

// TestServeBoundsClients looks for each bound, and sends more header than a client may.
func TestServeBoundsClients(t *testing.T) {
	t.Parallel()
	server := newServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	for name, d := range map[string]time.Duration{
		"ReadHeaderTimeout": server.ReadHeaderTimeout, "ReadTimeout": server.ReadTimeout,
		"WriteTimeout": server.WriteTimeout, "IdleTimeout": server.IdleTimeout,
	} {
		if d <= 0 {
			t.Errorf("there is no %s", name)
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	for size, want := range map[int]int{1 << 10: http.StatusNotFound, 70 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		url := "http://" + listener.Addr().String() + "/?" + strings.Repeat("a", size)
		if got, _ := get(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, url); got != want {
			t.Errorf("%d bytes of header: status %d, want %d", size, got, want)
		}
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// A brokenStore does not answer.
type brokenStore struct{ contacts.Store }

func (brokenStore) ListDirectory(context.Context, contacts.DirectoryQuery) (contacts.Directory, error) {
	return contacts.Directory{}, errors.New("the disk is gone")
}

func TestServeSaysWhetherItIsReady(t *testing.T) {
	t.Parallel()
	store := memory.New()
	defer store.Close()
	svc, err := contacts.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		store    contacts.Store
		stopping bool
		want     int
	}{
		{"ready", store, false, 200},
		{"stopping", store, true, 503},
		{"without its store", brokenStore{store}, false, 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stopping atomic.Bool
			stopping.Store(test.stopping)
			h := (&serveCommand{}).handler(test.store, svc, &stopping, slog.New(slog.DiscardHandler))
			for path, want := range map[string]int{"/readyz": test.want, "/healthz": 200} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
				if w.Code != want {
					t.Errorf("%s: status %d, want %d", path, w.Code, want)
				}
			}
		})
	}
}

func (brokenStore) FindKey(context.Context, [32]byte) (*contacts.KeyRecord, error) {
	return nil, errors.New("the disk is gone")
}

// The cause of a server error is found by the id that the client was given.
func TestServeLogsCausesWithTheRequest(t *testing.T) {
	t.Parallel()
	whole := memory.New()
	defer whole.Close()
	admin := contacts.NewAdmin(whole, nil)
	account, err := admin.CreateAccount(t.Context(), "Acme")
	must(t, err)
	key, _, err := admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: account.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}, AllTeams: true,
	})
	must(t, err)
	var lines strings.Builder
	log := slog.New(slog.NewTextHandler(&lines, nil))
	c := new(serveCommand)
	store := brokenStore{whole}
	svc, err := c.service(store, nil, log)
	must(t, err)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/contacts", nil)
	r.Header.Set("X-API-Key", key)
	r.Header.Set("X-Request-ID", "req-7")
	w := httptest.NewRecorder()
	c.handler(store, svc, new(atomic.Bool), log).ServeHTTP(w, r)
	got := strings.Split(lines.String(), "\n")
	if w.Code != http.StatusInternalServerError || len(got) != 3 || !strings.Contains(got[0], "the disk is gone") {
		t.Fatalf("status %d: %q", w.Code, got)
	}
	for _, line := range got[:2] {
		if strings.Count(line, "request_id=req-7") != 1 {
			t.Errorf("not once: %s", line)
		}
	}
}

// The handler of the API answers a path that is not clean. A redirect would repeat the
// key of the query.
func TestServeRedirectsNoKey(t *testing.T) {
	t.Parallel()
	store := memory.New()
	defer store.Close()
	svc, err := contacts.New(store, nil)
	must(t, err)
	h := (&serveCommand{KeyInQuery: true}).handler(store, svc, new(atomic.Bool), slog.New(slog.DiscardHandler))
	for _, path := range []string{"/api/v1/./contacts", "//api/v1/contacts", "/api//v1/contacts", "/api/v1/x/../contacts", "/./healthz"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.URL.Path, r.URL.RawQuery = path, "api_key=secret"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound || w.Header().Get("Location") != "" || w.Header().Get("X-Request-ID") == "" {
			t.Errorf("%s: status %d, %v", path, w.Code, w.Header())
		}
	}
}

// Other machines may connect only where there is TLS, or where a host says that a proxy
// has it.
func TestServeAddresses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		serveCommand
		ok bool
	}{
		{serveCommand{Addr: "127.0.0.1:80"}, true},
		{serveCommand{Addr: "[::1]:80"}, true},
		{serveCommand{Addr: "localhost:80"}, true},
		{serveCommand{Addr: "0.0.0.0:80"}, false},
		{serveCommand{Addr: ":80"}, false},
		{serveCommand{Addr: "example.com:80"}, false},
		{serveCommand{Addr: "0.0.0.0:80", Insecure: true}, true},
		{serveCommand{Addr: ":443", TLSCert: "cert.pem", TLSKey: "key.pem"}, true},
	} {
		if err := test.check(); (err == nil) != test.ok {
			t.Errorf("%+v: %v", test.serveCommand, err)
		}
	}
}

// However the prefix is written, the API and the page are where the log says.
func TestServePrefixes(t *testing.T) {
	t.Parallel()
	store := memory.New()
	defer store.Close()
	svc, err := contacts.New(store, nil)
	must(t, err)
	for prefix, want := range map[string]string{
		"": "/api/v1", "/crm": "/crm", "crm": "/crm", "crm/v1/": "/crm/v1", "//crm//v1": "/crm/v1", "/": "/", "/a b?": "/a%20b%3F",
	} {
		c := &serveCommand{Prefix: prefix, Docs: true}
		server := httptest.NewServer(c.handler(store, svc, new(atomic.Bool), slog.New(slog.DiscardHandler)))
		defer server.Close()
		api := c.url(server.Listener.Addr())
		if got := api.EscapedPath(); got != want {
			t.Errorf("the path of %q is %s, want %s", prefix, got, want)
		}
		for _, name := range []string{"openapi.json", "docs", "contacts"} {
			status := http.StatusOK
			if name == "contacts" {
				status = http.StatusUnauthorized
			}
			if got, body := get(t, server.Client(), api.JoinPath(name).String()); got != status {
				t.Errorf("the prefix %q: %s is %d, want %d: %s", prefix, name, got, status, body)
			}
		}
	}
}

func TestServeOverTLS(t *testing.T) {
	t.Parallel()
	store := memory.New()
	defer store.Close()
	svc, err := contacts.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	known := httptest.NewTLSServer(contactshttp.NewHandler(svc, nil)) // which has a certificate, and a client for it
	defer known.Close()
	certificate := known.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	c := &serveCommand{TLSCert: filepath.Join(folder, "cert.pem"), TLSKey: filepath.Join(folder, "key.pem"), Grace: duration(time.Minute)}
	for name, block := range map[string]*pem.Block{
		c.TLSCert: {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]},
		c.TLSKey:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- c.serve(ctx, listener, store, svc, slog.New(slog.DiscardHandler)) }()
	if got, body := get(t, known.Client(), "https://"+listener.Addr().String()+"/healthz"); got != 200 {
		t.Errorf("status %d: %s", got, body)
	}
	known.Client().CloseIdleConnections()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
