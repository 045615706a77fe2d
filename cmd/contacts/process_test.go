//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/internal/longtest"
)

// A process is a run of the command.
type process struct {
	*exec.Cmd
	out, errors bytes.Buffer // what it has printed; to be read when it has ended
}

// newProcess returns a run in a folder, with the store contacts.db there. Variables are
// NAME=VALUE.
func newProcess(t *testing.T, folder string, variables []string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), "contacts", args...)}
	p.Dir = folder
	p.Env = append(os.Environ(), "CONTACTS_DB=contacts.db")
	p.Env = append(p.Env, variables...)
	p.Stdout, p.Stderr = &p.out, &p.errors
	return p
}

// end waits for the end, and returns the exit code; -1: a signal ended it.
func (p *process) end(t *testing.T) int {
	t.Helper()
	err := p.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

// do runs the command to its end, which must be good, and returns what it printed.
func do(t *testing.T, folder string, args ...string) string {
	t.Helper()
	p := newProcess(t, folder, nil, args...)
	must(t, p.Start())
	if code := p.end(t); code != 0 {
		t.Fatalf("contacts %s: exit code %d\n%s", strings.Join(args, " "), code, &p.errors)
	}
	return p.out.String()
}

// patience is how long a process may do nothing.
const patience = 5 * time.Minute

// A slowFile is a file that a process reads as fast as a test writes it.
type slowFile struct {
	name string
	w    *os.File
}

// newSlowFile makes the file. It holds both ends open, so that nobody waits for the
// other one, and the process sees no end until the test closes it. A process that reads
// nothing fails the test after a while.
func newSlowFile(t *testing.T, name string) *slowFile {
	t.Helper()
	must(t, syscall.Mkfifo(name, 0o600))
	w, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	t.Cleanup(func() { w.Close() })
	must(t, w.SetWriteDeadline(time.Now().Add(patience)))
	return &slowFile{name, w}
}

const goOnRows = 6000

// goOnFile returns a file of contacts.
func goOnFile() string {
	var b strings.Builder
	b.WriteString("first_name,email,company\n")
	for i := range goOnRows {
		fmt.Fprintf(&b, "N%d,n%d@example.com,%s\n", i, i, strings.Repeat("x", 50))
	}
	return b.String()
}

// TestImportGoesOn cuts an import off at a random place, again and again, and lets it go
// on with its checkpoint, until it is through.
func TestImportGoesOn(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		for range longtest.Size(1, 8) {
			t.Run(signal.String(), func(t *testing.T) {
				t.Parallel()
				importGoesOn(t, signal)
			})
		}
	}
}

func importGoesOn(t *testing.T, signal syscall.Signal) {
	folder := t.TempDir()
	file := goOnFile()
	must(t, os.WriteFile(filepath.Join(folder, "people.csv"), []byte(file), 0o600))
	do(t, folder, "accounts", "create", "Acme")
	killed := 0
	for n := range 2 {
		p := newProcess(t, folder, nil, "import", fmt.Sprintf("slow-%d.csv", n), "--format", "csv", "--as-admin", "--checkpoint", "checkpoint")
		if !p.cutOff(t, file, newSlowFile(t, filepath.Join(folder, fmt.Sprintf("slow-%d.csv", n))), signal) {
			continue // it was through before the signal came
		}
		if signal == syscall.SIGKILL {
			killed++
			continue
		}
		if said := p.errors.String(); !strings.Contains(said, "the import was interrupted") || !strings.Contains(said, "checkpoint has that the next line is ") {
			t.Errorf("%v: it said %s", signal, said)
		}
		position := readCheckpoint(t, folder)
		if position.Summary.Rows != position.Row || position.Summary.Created+position.Summary.Replayed != position.Row {
			t.Errorf("%v: the checkpoint is %+v", signal, position)
		}
	}

	var summary contactsio.Summary
	must(t, json.Unmarshal([]byte(do(t, folder, "import", "people.csv", "--as-admin", "--checkpoint", "checkpoint", "--json")), &summary))
	if summary.Rows != goOnRows || summary.Created+summary.Replayed != goOnRows {
		t.Errorf("%v: the last run: %+v", signal, summary)
	}
	if _, err := os.Lstat(filepath.Join(folder, "checkpoint")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v: the checkpoint of an import that is through is there: %v", signal, err)
	}
	names := strings.Split(strings.TrimSpace(do(t, folder, "export", "--as-admin", "--columns", "first_name")), "\r\n")[1:]
	slices.Sort(names)
	if len(names) != goOnRows || len(slices.Compact(names)) != goOnRows {
		t.Errorf("%v: %d contacts are stored, want each of %d once", signal, len(names), goOnRows)
	}
	valid := 0
	for line := range strings.Lines(do(t, folder, "keys", "list", "--json")) {
		var key contacts.APIKey
		must(t, json.Unmarshal([]byte(line), &key))
		if !key.RevokedAt.IsZero() {
			continue
		}
		if valid++; key.ExpiresAt.IsZero() || key.ExpiresAt.After(time.Now().Add(24*time.Hour)) {
			t.Errorf("%v: a key is valid until %v", signal, key.ExpiresAt)
		}
	}
	if valid != killed {
		t.Errorf("%v: %d keys are valid, want %d", signal, valid, killed)
	}
}

// cutOff starts an import, gives it a random part of a file, sends it a signal, and goes
// on with the file until it ends. It returns false if it was through.
func (p *process) cutOff(t *testing.T, file string, slow *slowFile, signal syscall.Signal) bool {
	t.Helper()
	const head = 192 << 10 // more than a pipe holds, and what an import looks at before it begins
	at := head + rand.IntN((len(file)-head)/2)
	must(t, p.Start())
	_, err := slow.w.WriteString(file[:at])
	must(t, err)
	must(t, p.Process.Signal(signal))
	written := make(chan error, 1)
	go func() {
		_, err := slow.w.WriteString(file[at:])
		written <- errors.Join(err, slow.w.Close())
	}()
	code := p.end(t)
	slow.w.Close() // ends a write that nobody reads
	<-written
	switch {
	case code == 0 && signal != syscall.SIGKILL:
		return false
	case code != 1 && signal != syscall.SIGKILL, code != -1 && code != 0 && signal == syscall.SIGKILL:
		t.Fatalf("%v: exit code %d\n%s", signal, code, &p.errors)
	}
	return code != 0
}

// A signal ends an import whose standard input, or file, has more to come.
func TestImportOfAnIdlePipeIsInterrupted(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		for _, name := range []string{"-", "slow.csv"} {
			folder := t.TempDir()
			do(t, folder, "accounts", "create", "Acme")
			slow := newSlowFile(t, filepath.Join(folder, "slow.csv"))
			p := newProcess(t, folder, nil, "import", name, "--format", "csv", "--as-admin", "--json")
			in, err := os.Open(slow.name)
			must(t, err)
			defer in.Close()
			p.Stdin = in
			must(t, p.Start())
			const more = 80 << 10 // than a pipe holds: the process has begun to read
			_, err = slow.w.WriteString("first_name,email\nAnn,\n" + strings.Repeat("\n", more) + "Ben,ben@exam")
			must(t, err)
			must(t, p.Process.Signal(signal))
			late := time.AfterFunc(patience, func() { slow.w.Close() })
			if code := p.end(t); code != exitFailed || !strings.Contains(p.errors.String(), `"message":"`+name+`: the import was interrupted"`) {
				t.Errorf("%s, %v: exit code %d\n%s", name, signal, code, &p.errors)
			}
			if !late.Stop() {
				t.Errorf("%s, %v: it did not end before its input did", name, signal)
			}
		}
	}
}

func readCheckpoint(t *testing.T, folder string) (p contactsio.Position) {
	t.Helper()
	name := filepath.Join(folder, "checkpoint")
	text, err := os.ReadFile(name)
	must(t, err)
	must(t, json.Unmarshal(text, &p))
	info, err := os.Stat(name)
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("the mode of the checkpoint is %v", info.Mode())
	}
	return p
}

// The checkpoint of an import is for no other one until the first has ended.
func TestCheckpointIsLocked(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	folder := t.TempDir()
	file := goOnFile()
	do(t, folder, "accounts", "create", "Acme")
	must(t, os.WriteFile(filepath.Join(folder, "people.csv"), []byte(file), 0o600))
	slow := newSlowFile(t, filepath.Join(folder, "slow.csv"))
	first := newProcess(t, folder, nil, "import", "slow.csv", "--format", "csv", "--as-admin", "--checkpoint", "checkpoint")
	must(t, first.Start())
	_, err := slow.w.WriteString(file[:len(file)/2])
	must(t, err)

	second := newProcess(t, folder, nil, "import", "people.csv", "--as-admin", "--checkpoint", "checkpoint")
	must(t, second.Start())
	if code := second.end(t); code != 1 || !strings.Contains(second.errors.String(), "another import uses the checkpoint checkpoint") {
		t.Errorf("the second import: exit code %d\n%s", code, &second.errors)
	}
	_, err = slow.w.WriteString(file[len(file)/2:])
	must(t, err)
	must(t, slow.w.Close())
	if code := first.end(t); code != 0 {
		t.Errorf("the first import: exit code %d\n%s", code, &first.errors)
	}

	for text, want := range map[string]string{
		"":     "",
		"{}":   "no checkpoint",
		"text": "no checkpoint",
		`{"fingerprint":"00","format":"csv","encoding":"utf-8"}`: "the file is not the one",
	} {
		must(t, os.WriteFile(filepath.Join(folder, "checkpoint"), []byte(text), 0o600))
		p := newProcess(t, folder, nil, "import", "people.csv", "--as-admin", "--checkpoint", "checkpoint")
		must(t, p.Start())
		code := p.end(t)
		if said := p.errors.String(); (code == 0) != (want == "") || !strings.Contains(said, want) {
			t.Errorf("the checkpoint %q: exit code %d, %s", text, code, said)
		}
	}
}

// lines reads lines until one has the text, and returns that one.
func lines(t *testing.T, r *bufio.Scanner, text string) string {
	t.Helper()
	for r.Scan() {
		if strings.Contains(r.Text(), text) {
			return r.Text()
		}
	}
	t.Fatalf("there is no line with %s: %v", text, r.Err())
	return ""
}

// TestEventsTail reads events as they come.
func TestEventsTail(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	folder := t.TempDir()
	id, _, _ := strings.Cut(strings.Split(do(t, folder, "accounts", "create", "Acme"), "\n")[1], " ")
	do(t, folder, "accounts", "events", id, "--on")
	must(t, os.WriteFile(filepath.Join(folder, "people.csv"), []byte("first_name\nAnn\n"), 0o600))
	do(t, folder, "import", "people.csv", "--as-admin", "--job", "first")
	for _, args := range [][]string{{"events", "tail", "--after", "0"}, {"events", "tail", "--after", "0", "--json"}} {
		p := newProcess(t, folder, nil, args...)
		p.Stdout = nil
		out, err := p.StdoutPipe()
		must(t, err)
		must(t, p.Start())
		scanner := bufio.NewScanner(out)
		lines(t, scanner, "contact.created")
		do(t, folder, "import", "people.csv", "--as-admin", "--job", strings.Join(args, " ")) // it waits for more
		lines(t, scanner, "contact.created")
		must(t, p.Process.Signal(syscall.SIGTERM))
		if code := p.end(t); code != 0 {
			t.Errorf("%q: exit code %d\n%s", args, code, &p.errors)
		}
	}
}

// A signal ends what waits for one with 0, also before it has begun. It cuts off all else.
func TestSignalBeforeTheBeginning(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	do(t, folder, "accounts", "create", "Acme")
	signalled, stop := context.WithCancel(t.Context())
	stop()
	for command, want := range map[string]int{"events tail": exitDone, "serve --addr 127.0.0.1:0": exitDone, "accounts list": exitFailed} {
		var out, said bytes.Buffer
		args := append(strings.Fields(command), "--db", filepath.Join(folder, "contacts.db"))
		code := run(signalled, args, strings.NewReader(""), &out, &said)
		if code != want || out.Len() > 0 || (code == exitDone) != (said.Len() == 0) {
			t.Errorf("%s: exit code %d, want %d\n%s%s", command, code, want, &out, &said)
		}
	}
}

// Where nobody reads the results, the command ends with 1 and says nothing.
func TestResultsThatNobodyReads(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	folder := t.TempDir()
	do(t, folder, "accounts", "create", "Acme")
	for _, args := range [][]string{{"accounts", "list"}, {"accounts", "list", "--json"}, {"export", "--as-admin"}, {"--help"}, {"keys", "issue", "--help"}} {
		r, w, err := os.Pipe()
		must(t, err)
		must(t, r.Close())
		p := newProcess(t, folder, nil, args...)
		p.Stdout = w
		must(t, p.Start())
		must(t, w.Close())
		if code := p.end(t); code != exitFailed || p.errors.Len() > 0 {
			t.Errorf("%q: exit code %d, and it said %q", args, code, &p.errors)
		}
	}
}

// listen starts a server, and returns where its API is and what it logs from then on.
func (p *process) listen(t *testing.T) (url string, log *bufio.Scanner) {
	t.Helper()
	p.Stderr = nil
	out, err := p.StderrPipe()
	must(t, err)
	must(t, p.Start())
	log = bufio.NewScanner(out)
	var listening struct{ URL string }
	must(t, json.Unmarshal([]byte(lines(t, log, `"listening"`)), &listening))
	return listening.URL, log
}

// TestServeFlags serves as flags and variables say. A flag counts before its variable.
func TestServeFlags(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	do(t, folder, "accounts", "create", "Acme")
	p := newProcess(t, folder, []string{"CONTACTS_ADDR=127.0.0.1:0", "CONTACTS_PREFIX=crm", "CONTACTS_RATE_LIMIT=9"},
		"serve", "--docs", "--default-region", "US", "--valid-numbers-only", "--rate-limit", "1", "--insecure")
	url, log := p.listen(t)
	if !strings.HasSuffix(url, "/crm") {
		t.Errorf("the API is at %s", url)
	}
	var keys []string // each may make one request
	for range 2 {
		keys = append(keys, strings.TrimSpace(do(t, folder, "keys", "issue", "--name", "n", "--can", "can_read_contacts")))
	}
	create := func(number string) string {
		return `{"first_name": "Ann", "phone_numbers": [{"phone_number": "` + number + `"}]}`
	}
	wire := &http.Transport{DisableKeepAlives: true}
	for _, request := range []struct {
		what, method, path, key, body string
		want                          int
	}{
		{"a national number", http.MethodPost, "/contacts/create", keys[0], create("(202) 456-1111"), http.StatusCreated},
		{"another request", http.MethodGet, "/contacts", keys[0], "", http.StatusTooManyRequests},
		{"a number that nobody has", http.MethodPost, "/contacts/create", keys[1], create("+15551234567"), http.StatusBadRequest},
		{"the page", http.MethodGet, "/docs", "", "", http.StatusOK},
	} {
		r, err := http.NewRequestWithContext(t.Context(), request.method, url+request.path, strings.NewReader(request.body))
		must(t, err)
		r.Header.Set("X-API-Key", request.key)
		r.Header.Set("Content-Type", "application/json")
		resp, err := wire.RoundTrip(r)
		must(t, err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != request.want {
			t.Errorf("%s: status %d, want %d: %s", request.what, resp.StatusCode, request.want, body)
		}
	}
	must(t, p.Process.Signal(syscall.SIGTERM))
	lines(t, log, `"stopped"`)
	if code := p.end(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestStopsServing sends signals to a server that has a request under way.
func TestStopsServing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	do(t, folder, "accounts", "create", "Acme")
	key := strings.TrimSpace(do(t, folder, "keys", "issue", "--name", "server", "--can", "can_read_contacts"))
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := newProcess(t, folder, nil, "serve", "--addr", "127.0.0.1:0", "--grace", "1m")
		url, log := p.listen(t)

		body, rest := io.Pipe()
		answered := make(chan int, 1)
		// The body is asked for by the server when it has begun with the request.
		client := &http.Transport{ExpectContinueTimeout: time.Minute}
		go func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/contacts/create", body)
			if err != nil {
				t.Error(err)
			}
			r.Header.Set("Authorization", "Bearer "+key)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Expect", "100-continue")
			resp, err := client.RoundTrip(r)
			if err != nil {
				t.Error(err)
				answered <- 0
				return
			}
			answered <- resp.StatusCode
			resp.Body.Close()
		}()
		_, err := rest.Write([]byte(`{"first_name": `))
		must(t, err)
		must(t, p.Process.Signal(signal))
		lines(t, log, `"stopping"`)
		_, err = rest.Write([]byte(`"Ann"}`))
		must(t, err)
		must(t, rest.Close())
		if status := <-answered; status != http.StatusCreated {
			t.Errorf("%v: the request under way was answered with %d", signal, status)
		}
		lines(t, log, `"stopped"`)
		if code := p.end(t); code != 0 {
			t.Errorf("%v: exit code %d", signal, code)
		}
	}
}

// TestNoSecretInArguments looks for an API key in everything that others can see of a
// process.
func TestNoSecretInArguments(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	if runtime.GOOS != "linux" {
		t.Skip("left out: the arguments of a process are read in /proc, which Linux has")
	}
	folder := t.TempDir()
	do(t, folder, "accounts", "create", "Acme")
	key := strings.TrimSpace(do(t, folder, "keys", "issue", "--name", "all", "--can", "can_read_contacts,can_write_contacts,can_manage_do_not_call", "--all-teams"))
	must(t, os.WriteFile(filepath.Join(folder, "key.txt"), []byte(key), 0o600))

	t.Run("serve", func(t *testing.T) {
		p := newProcess(t, folder, []string{"CONTACTS_KEY=" + key}, "serve", "--addr", "127.0.0.1:0", "--key-in-query", "--log", "text")
		p.Stderr = nil
		log, err := p.StderrPipe()
		must(t, err)
		must(t, p.Start())
		var said bytes.Buffer
		scanner := bufio.NewScanner(io.TeeReader(log, &said))
		_, url, _ := strings.Cut(lines(t, scanner, "listening"), "url=")
		wire := &http.Transport{DisableKeepAlives: true}
		for _, query := range []string{"", "?api_key=" + key, "?api_key=" + key + "x", "?search=" + key} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/contacts"+query, nil)
			must(t, err)
			resp, err := wire.RoundTrip(r)
			must(t, err)
			resp.Body.Close()
		}
		wantNoKey(t, "the arguments of serve", p.arguments(t))
		must(t, p.Process.Signal(syscall.SIGTERM))
		for scanner.Scan() { // to the end
		}
		if code := p.end(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
		wantNoKey(t, "the log", said.String())
	})

	must(t, os.WriteFile(filepath.Join(folder, "numbers.txt"), []byte("+15551234567\n"), 0o600))
	for _, as := range [][]string{{"CONTACTS_KEY"}, {"key.txt"}, {"-"}, nil} {
		t.Run(strings.Join(append([]string{"for"}, as...), " "), func(t *testing.T) {
			slow := newSlowFile(t, filepath.Join(folder, "slow.csv"))
			defer os.Remove(slow.name)
			var variables []string
			args := []string{"import", "slow.csv", "--format", "csv", "--report", "report.jsonl", "--refused", "refused.csv"}
			switch {
			case as == nil:
				args = append(args, "--as-admin")
			case as[0] == "CONTACTS_KEY":
				variables = []string{"CONTACTS_KEY=" + key}
			default:
				args = append(args, "--key-file", as[0])
			}
			p := newProcess(t, folder, variables, args...)
			p.Stdin = strings.NewReader(key)
			must(t, p.Start())
			const more = 80 << 10 // than a pipe holds: the process has begun to read
			_, err := slow.w.WriteString("first_name,email\nAnn,\nBen,no address\n" + strings.Repeat("\n", more))
			must(t, err)
			wantNoKey(t, "the arguments", p.arguments(t))
			must(t, slow.w.Close())
			if code := p.end(t); code != exitRefused {
				t.Errorf("exit code %d\n%s", code, &p.errors)
			}
			for _, name := range []string{"report.jsonl", "refused.csv"} {
				text, err := os.ReadFile(filepath.Join(folder, name))
				must(t, err)
				must(t, os.Remove(filepath.Join(folder, name)))
				wantNoKey(t, name, string(text))
			}
			wantNoKey(t, "the output", p.out.String()+p.errors.String())
		})
	}
	for _, args := range [][]string{
		{"keys", "list"}, {"keys", "list", "--json"}, {"accounts", "list", "--json"}, {"export", "--as-admin"}, {"export", "--as-admin", "--format", "jsonl"},
		{"do-not-call", "import", "numbers.txt", "--source", "s", "--as-admin"}, {"do-not-call", "export", "--as-admin"}, {"duplicates", "--as-admin", "--json"},
	} {
		p := newProcess(t, folder, nil, args...)
		must(t, p.Start())
		if code := p.end(t); code != 0 {
			t.Errorf("%q: exit code %d\n%s", args, code, &p.errors)
		}
		wantNoKey(t, strings.Join(args, " "), p.out.String()+p.errors.String())
	}
}

// arguments returns those of a process that runs, as others see them.
func (p *process) arguments(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Process.Pid))
	must(t, err)
	if !bytes.Contains(text, []byte(p.Args[1])) {
		t.Fatalf("the process has the arguments %q", text)
	}
	return string(text)
}

var anyKey = regexp.MustCompile(`.{0,100}ck_[0-9A-Za-z]{43}`)

// wantNoKey fails if a text has an API key.
func wantNoKey(t *testing.T, what, text string) {
	t.Helper()
	if found := anyKey.FindString(text); found != "" {
		t.Errorf("an API key is in %s: %s", what, found)
	}
}
