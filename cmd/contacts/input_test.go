package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An idleInput is standard input through which nothing comes.
type idleInput struct {
	cancel context.CancelFunc // is called once somebody waits
	end    <-chan struct{}
}

func (i idleInput) Read([]byte) (int, error) {
	i.cancel()
	select {
	case <-i.end:
	case <-time.After(time.Minute):
	}
	return 0, io.EOF
}

// A command that waits for its input ends when it is told to.
func TestIdleInputIsInterrupted(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "contacts.db")
	for _, test := range []struct{ args, want string }{
		{"accounts create Acme", ""},
		{"import - --as-admin", "-: the import was interrupted"},
		{"import - --preview", "interrupted"},
		{"export --key-file -", "the API key: interrupted"},
		{"do-not-call import - --source s --as-admin", "-: the import was interrupted"},
		{"do-not-call grant --file - --reference x --as-admin", "-: the import was interrupted"},
		{"erase reapply - --yes", "receipt 1 cannot be read: interrupted; nothing was done"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var out, said bytes.Buffer
		code := run(ctx, append(strings.Fields(test.args), "--db", db), idleInput{cancel, t.Context().Done()}, &out, &said)
		cancel()
		if want := min(len(test.want), exitFailed); code != want || !strings.Contains(said.String(), test.want) {
			t.Errorf("contacts %s: exit code %d, want %d and %q:\n%s", test.args, code, want, test.want, &said)
		}
	}
}
