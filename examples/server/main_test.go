package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/contactstest"
	"example.com/contacts/store/sqlite"
)

// patience is how long a test waits before it fails.
const patience = 30 * time.Second

// A program is one run of the whole program.
type program struct {
	printed string // up to the line with the address
	cancel  context.CancelFunc
	ended   chan int     // the exit status
	log     bytes.Buffer // complete when the program has ended
}

// launch runs the program until stop is called or the test ends.
func launch(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &program{cancel: cancel, ended: make(chan int, 1)}
	out, stdout := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		status := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), stdout, &p.log)
		stdout.Close()
		p.ended <- status
	}()
	t.Cleanup(func() { cancel(); <-done })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p.printed += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "Listening on ") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return p
		}
	}
	status := <-p.ended
	t.Fatalf("the program does not listen; status %d\n%s%s", status, p.printed, &p.log)
	return nil
}

// stop ends the program as a signal does, and returns its log.
func (p *program) stop(t *testing.T) string {
	t.Helper()
	p.cancel()
	select {
	case status := <-p.ended:
		if status != 0 {
			t.Errorf("exit status %d\n%s", status, &p.log)
		}
	case <-time.After(patience):
		t.Fatal("the program did not end after its context was done")
	}
	return p.log.String()
}

func (p *program) url(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^Listening on (http://127\.0\.0\.1:[1-9]\d*); `).FindStringSubmatch(p.printed)
	if m == nil {
		t.Fatalf("no address in %q", p.printed)
	}
	return m[1]
}

func send(t *testing.T, method, url, key, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// want sends a request and returns the answer. Another status fails the test.
func want(t *testing.T, status int, method, url, key, body string) (answer string) {
	t.Helper()
	got, answer := send(t, method, url, key, body)
	if got != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, url, got, status, answer)
	}
	return answer
}

// decode returns the fields of an answer that the tests use.
func decode(t *testing.T, answer string) (a struct {
	ID       uuid.UUID
	Stage    string
	TeamID   int64 `json:"team_id"`
	Count    int
	Contacts []struct{ ID uuid.UUID }
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	return a
}

func TestFirstAndSecondStart(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "contacts.db")
	server := launch(t, "-db", db)
	curl := regexp.MustCompile(`(?s)\ncurl -sS (\S+) -H 'Authorization: Bearer (\S+)' -H 'Content-Type: application/json' -d '(.*?)'\n`).
		FindStringSubmatch(server.printed)
	if curl == nil {
		t.Fatalf("printed no curl command:\n%s", server.printed)
	}
	create, key, body := curl[1], curl[2], curl[3]
	api := server.url(t) + "/api/v1"

	john := decode(t, want(t, 201, "POST", create, key, body))
	if john.TeamID != 101 {
		t.Errorf("created in team %d, want 101", john.TeamID)
	}
	contact := api + "/contacts/" + john.ID.String()
	if list := decode(t, want(t, 200, "GET", api+"/contacts?search=doe", key, "")); list.Count != 1 || list.Contacts[0].ID != john.ID {
		t.Errorf("the list: %+v", list)
	}
	if got := decode(t, want(t, 200, "PATCH", contact+"/update", key, `{"stage": "customer"}`)); got.Stage != "customer" {
		t.Errorf("changed: %+v", got)
	}
	want(t, 204, "DELETE", contact, key, "")
	want(t, 404, "GET", contact, key, "")
	want(t, 200, "POST", contact+"/restore", key, "")
	want(t, 401, "GET", contact, "", "")
	want(t, 401, "GET", contact, key+"x", "")

	log := server.stop(t)
	if strings.Contains(log, key) || strings.Contains(log, "john") {
		t.Errorf("the log holds a key or a contact:\n%s", log)
	}
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is not JSON: %s", line)
		}
	}
	address := strings.TrimPrefix(server.url(t), "http://")
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); err == nil {
		conn.Close()
		t.Error("the server still listens after its end")
	}
	if _, err := os.Stat(db + "-wal"); err == nil {
		t.Error("the store was not closed: its write-ahead log exists")
	}

	server = launch(t, "-db", db)
	if !strings.Contains(server.printed, "Acme Corp exists already") || strings.Contains(server.printed, "curl") {
		t.Errorf("the second start printed %q", server.printed)
	}
	if !strings.Contains(server.printed, "-db '"+db+"' -issue-key\n") {
		t.Errorf("the second start printed no command that issues a key: %q", server.printed)
	}
	contact = server.url(t) + "/api/v1/contacts/" + john.ID.String()
	if got := decode(t, want(t, 200, "GET", contact, key, "")); got.Stage != "customer" {
		t.Errorf("after the second start: %+v", got)
	}

	// While the server runs.
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-db", db, "-issue-key"}, &stdout, &stderr); status != 0 {
		t.Fatalf("-issue-key: exit status %d: %s", status, &stderr)
	}
	another := regexp.MustCompile(`(?m)^ck_\w+$`).FindString(stdout.String())
	if another == "" || another == key {
		t.Fatalf("-issue-key printed %q", &stdout)
	}
	want(t, 200, "GET", contact, another, "")
	want(t, 200, "GET", contact, key, "")
	server.stop(t)
}

// The test runs the commands as they are printed.
func TestPrintedCommands(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"sh", "curl", "grep"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the commands need %s, which is not installed", tool)
		}
	}
	server := launch(t)
	var script strings.Builder
	for part := range strings.SplitSeq(server.printed, "\n\n") {
		if strings.HasPrefix(part, "curl ") || strings.HasPrefix(part, "api=") {
			script.WriteString(part + "\n")
		}
	}
	shell := exec.CommandContext(t.Context(), "sh", "-eu")
	shell.Stdin = strings.NewReader(script.String())
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	log := server.stop(t)
	for _, status := range []string{
		`"POST","route":"/api/v1/contacts/create","status":201`,
		`"GET","route":"/api/v1/contacts","status":200`,
		`"PATCH","route":"/api/v1/contacts/{id}/update","status":200`,
		`"DELETE","route":"/api/v1/contacts/{id}","status":204`,
		`"POST","route":"/api/v1/contacts/{id}/restore","status":200`,
	} {
		if !strings.Contains(log, status) {
			t.Errorf("no %s in the log:\n%s\nThe commands printed:\n%s", status, log, out)
		}
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	server := launch(t, "-rate-limit", "1", "-log", "text")
	key := regexp.MustCompile(`(?m)^ck_\w+$`).FindString(server.printed)
	list := server.url(t) + "/api/v1/contacts"
	want(t, 200, "GET", list, key, "")
	want(t, 429, "GET", list, key, "")
	want(t, 200, "GET", server.url(t)+"/healthz", "", "")
	if log := server.stop(t); !strings.Contains(log, "level=INFO msg=listening") {
		t.Errorf("the log is not text: %s", log)
	}
}

func TestRefusedStarts(t *testing.T) {
	t.Parallel()
	var listening net.ListenConfig
	taken, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	db := filepath.Join(t.TempDir(), "contacts.db")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("This is not a database, and must not be changed."), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		args   []string
		status int
		stderr string
	}{
		{"help", []string{"-h"}, 0, "-issue-key"},
		{"an unknown flag", []string{"-port", "1"}, 2, "-port"},
		{"an argument", []string{"contacts.db"}, 2, "only flags"},
		{"an unknown log", []string{"-log", "xml"}, 2, "json or text"},
		{"a key for a temporary file", []string{"-issue-key"}, 2, "-db"},
		{"an address in use", []string{"-addr", taken.Addr().String(), "-db", db}, 1, "address already in use"},
		{"a file that is not a database", []string{"-addr", "127.0.0.1:0", "-db", text}, 1, "not a"},
		{"a ledger whose secret another program has", []string{"-addr", "127.0.0.1:0", "-db", secretLedger(t)}, 1, "fingerprint"},
		{"a missing folder", []string{"-addr", "127.0.0.1:0", "-db", filepath.Join(db, "none", "contacts.db")}, 1, "contacts.db"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if status := run(t.Context(), c.args, &stdout, &stderr); status != c.status {
				t.Errorf("exit status %d, want %d", status, c.status)
			}
			if !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("stderr lacks %q: %s", c.stderr, &stderr)
			}
			if stdout.Len() > 0 {
				t.Errorf("printed %q", &stdout)
			}
		})
	}

	// A start that could not listen has created no account, whose key would be lost.
	if server := launch(t, "-db", db); !strings.Contains(server.printed, "was created") {
		t.Errorf("printed %q", server.printed)
	}
}

// secretLedger returns the path of a file with a do-not-call ledger, whose secret is
// not in it.
func secretLedger(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "contacts.db")
	store, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	account, key, err := setUp(t.Context(), contacts.NewAdmin(store, nil), true)
	if err != nil {
		t.Fatal(err)
	}
	svc, err := contacts.New(store, &contacts.Options{DoNotCallSecrets: [][]byte{bytes.Repeat([]byte("s"), 32)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.BlockCalls(t.Context(), key, contacts.DoNotCallInput{PhoneNumber: "+15551234567", Source: account.Name}); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestQuotableHasNoPassword(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"contacts.db":                                                  "contacts.db",
		"postgres://app@db.internal/crm":                               "postgres://app@db.internal/crm",
		"postgres://app:geheim@db.internal/crm":                        "postgres://app:xxxxx@db.internal/crm",
		"postgresql://db.internal/crm?sslmode=disable&password=geheim": "postgresql://db.internal/crm",
		"postgres://app:geh eim@db.internal/crm":                       "postgres://…",
	} {
		if got := quotable(name); got != want {
			t.Errorf("quotable(%q) is %q, want %q", name, got, want)
		}
	}
}

func TestLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	for _, temp := range []string{"TMPDIR", "TMP", "TEMP"} { // the last two are for Windows
		t.Setenv(temp, dir)
	}
	launch(t).stop(t)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %v, %v", left, err)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	var log bytes.Buffer
	handler := newHandler(f.Service, f.Admin, 0, slog.New(slog.NewJSONHandler(&log, nil)))
	health := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/healthz", nil))
		return w
	}
	if w := health(); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("status %d, %q", w.Code, w.Body)
	}
	if err := f.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if w := health(); w.Code != 503 {
		t.Errorf("with a closed store: status %d, want 503", w.Code)
	}
	if !strings.Contains(log.String(), contacts.ErrClosed.Error()) {
		t.Errorf("the log lacks the cause: %s", &log)
	}
}

// A request that has begun before the shutdown is answered.
func TestGracefulShutdown(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, finish := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-finish
		if err := r.Context().Err(); err != nil {
			http.Error(w, err.Error(), 500)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	logged, log := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- serve(ctx, listener, slow, f.Admin, slog.New(slog.NewTextHandler(log, nil)))
		log.Close()
	}()
	go func() {
		<-arrived
		cancel()
	}()
	go func() {
		for lines := bufio.NewScanner(logged); lines.Scan(); {
			if strings.Contains(lines.Text(), `msg="shutting down"`) {
				close(finish)
			}
		}
	}()
	want(t, 200, "GET", "http://"+listener.Addr().String(), "", "")
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// The clock is the fake one of synctest.
func TestPurgesDaily(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := contactstest.New(t, nil)
		c, err := f.Service.CreateContact(t.Context(), f.Key, contacts.CreateContactInput{FirstName: "Ada"})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Service.DeleteContact(t.Context(), f.Key, c.ID, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			purgeDaily(ctx, f.Admin, slog.New(slog.DiscardHandler))
		}()
		kept := func() bool {
			page, err := f.Service.ListContacts(t.Context(), f.Key, contacts.ListContactsInput{Deleted: true})
			if err != nil {
				t.Fatal(err)
			}
			return len(page.Contacts) == 1
		}
		time.Sleep(keepDeleted - time.Hour)
		synctest.Wait()
		if !kept() {
			t.Fatal("purged too early")
		}
		time.Sleep(purgeEvery + time.Hour)
		synctest.Wait()
		if kept() {
			t.Error("not purged after 30 days")
		}
		cancel()
		<-ended
	})
}

func TestCauseOf(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	f.FailNextWith(errors.New("the disk is gone"))
	_, err := f.Service.GetContact(t.Context(), f.Key, uuid.New())
	if got := causeOf(err); !strings.Contains(got, "server_error") || !strings.Contains(got, "the disk is gone") {
		t.Errorf("got %q", got)
	}
}

func TestURLOf(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080",
		"0.0.0.0:80":     "http://localhost:80",
		"[::]:8080":      "http://localhost:8080",
		"[::1]:8080":     "http://[::1]:8080",
	} {
		addr, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := urlOf(addr); got != want {
			t.Errorf("urlOf(%s) is %s, want %s", address, got, want)
		}
	}
}
