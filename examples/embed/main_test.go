package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/contactstest"
)

// send sends a request over a real connection and decodes the answer.
func send(t *testing.T, method, url, body string, header http.Header, answer any) (status int, got http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		t.Fatalf("%s %s: status %d, not JSON: %v", method, url, resp.StatusCode, err)
	}
	return resp.StatusCode, resp.Header
}

func bearer(key string) http.Header { return http.Header{"Authorization": {"Bearer " + key}} }

func serve(t *testing.T) (f *contactstest.Fixture, url string) {
	f = contactstest.New(t, nil)
	server := httptest.NewServer(newHandler(f.Service, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	return f, server.URL
}

func TestCreateAndGet(t *testing.T) {
	f, url := serve(t)
	for name, header := range map[string]http.Header{
		"Authorization": bearer(f.Key),
		"lower case":    {"Authorization": {"bearer " + f.Key}},
		"X-API-Key":     {"X-Api-Key": {f.Key}},
	} {
		t.Run(name, func(t *testing.T) {
			var created, found contacts.Contact
			status, got := send(t, "POST", url+"/people", `{"first_name": "John", "tags": ["tech"]}`, header, &created)
			if status != 201 || created.FirstName != "John" {
				t.Fatalf("POST: status %d, %+v", status, created)
			}
			where := got.Get("Location")
			status, _ = send(t, "GET", url+where, "", header, &found)
			if status != 200 || found.ID != created.ID || found.Tags[0] != "tech" {
				t.Errorf("GET %s: status %d, %+v", where, status, found)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	f, url := serve(t)
	const zeroID = "/people/00000000-0000-0000-0000-000000000000"
	for _, c := range []struct {
		name               string
		method, path, body string
		header             http.Header
		status             int
		code               contacts.Code
		field              string // of the first detail
	}{
		{"no key", "POST", "/people", `{"first_name": "John"}`, nil, 401, contacts.CodeAuthenticationRequired, ""},
		{"another scheme", "POST", "/people", `{"first_name": "John"}`, http.Header{"Authorization": {"Basic " + f.Key}}, 401, contacts.CodeAuthenticationRequired, ""},
		{"wrong key", "POST", "/people", `{"first_name": "John"}`, bearer("ck_1"), 401, contacts.CodeInvalidKey, ""},
		{"broken JSON", "POST", "/people", `{`, bearer(f.Key), 400, contacts.CodeInvalidJSON, ""},
		{"no first name", "POST", "/people", `{}`, bearer(f.Key), 400, contacts.CodeMissingFirstName, "first_name"},
		{"wrong field", "POST", "/people", `{"first_name": "John", "phone_numbers": [{"phone_number": "1"}]}`, bearer(f.Key), 400, contacts.CodeValidationError, "phone_numbers[0].phone_number"},
		{"no such team", "POST", "/people", `{"first_name": "John", "team_id": 999}`, bearer(f.Key), 404, contacts.CodeTeamNotFound, ""},
		{"too large", "POST", "/people", `{"first_name": "` + strings.Repeat("x", 1<<20) + `"}`, bearer(f.Key), 413, contacts.CodeInvalidJSON, ""},
		{"no such contact", "GET", zeroID, "", bearer(f.Key), 404, contacts.CodeNotFound, ""},
		{"no id", "GET", "/people/john", "", bearer(f.Key), 404, contacts.CodeNotFound, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var answer contacts.Error
			status, got := send(t, c.method, url+c.path, c.body, c.header, &answer)
			if status != c.status || answer.Code != c.code || answer.Message == "" {
				t.Errorf("status %d, %+v; want status %d, code %s", status, answer, c.status, c.code)
			}
			if c.field != "" && (len(answer.Details) == 0 || answer.Details[0].Field != c.field) {
				t.Errorf("details %+v, want %s", answer.Details, c.field)
			}
			if challenge := got.Get("WWW-Authenticate"); (challenge != "") != (c.status == 401) {
				t.Errorf("WWW-Authenticate: %q", challenge)
			}
		})
	}
}

func TestServerError(t *testing.T) {
	f, url := serve(t)
	f.FailNext(contacts.CodeServerError)
	var answer contacts.Error
	status, _ := send(t, "POST", url+"/people", `{"first_name": "John"}`, bearer(f.Key), &answer)
	if status != 500 || answer.Code != contacts.CodeServerError {
		t.Errorf("status %d, %+v", status, answer)
	}
}

// start runs the whole program on the file until stop is called. It returns what
// the program prints.
func start(t *testing.T, db string) (printed string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var out bytes.Buffer
	logged, log := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, "localhost:0", db, &out, slog.New(slog.NewTextHandler(log, nil)))
		log.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(logged)
	for lines.Scan() && !strings.Contains(lines.Text(), "listening") {
	}
	go func() { _, _ = io.Copy(io.Discard, logged) }()
	return out.String(), func() {
		t.Helper()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("run did not return after its context was done")
		}
	}
}

// inUse returns an address that another listener has until the test ends.
func inUse(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

func TestRun(t *testing.T) {
	db := filepath.Join(t.TempDir(), "contacts.db")
	if err := run(t.Context(), inUse(t), db, io.Discard, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("run returned no error for an address that is in use")
	}

	printed, stop := start(t, db)
	curl := regexp.MustCompile(`^curl -i (\S+) -H 'Authorization: Bearer (\S+)' -d '(.*)'\n$`).FindStringSubmatch(printed)
	if curl == nil {
		t.Fatalf("printed %q, want a curl command", printed)
	}
	url, key, body := curl[1], curl[2], curl[3]
	var created contacts.Contact
	status, _ := send(t, "POST", url, body, bearer(key), &created)
	if status != 201 || created.PhoneNumbers[0].PhoneNumber != "+15551234567" {
		t.Errorf("POST: status %d, %+v", status, created)
	}
	stop()
	address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/people")
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); err == nil {
		conn.Close()
		t.Error("the server still listens after run has returned")
	}
	if _, err := os.Stat(db + "-wal"); err == nil {
		t.Error("the store was not closed: its write-ahead log exists")
	}

	printed, stop = start(t, db)
	stop()
	if printed != "" {
		t.Errorf("printed %q for a file with an account, want nothing", printed)
	}
}
