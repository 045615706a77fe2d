package postgres_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/postgres"
)

// poolerConns is how many connections to the server a pooler has.
const poolerConns = 4

// newPooler starts a PgBouncer before the shared server, for one role. It gives a
// connection away after each transaction, and has fewer than its clients want. It
// returns the role's url through it.
func newPooler(t testing.TB, role string) string {
	t.Helper()
	serverURL(t)
	if shared.server == nil {
		t.Skip("left out: PgBouncer needs the socket of a server of the tests' own")
	}
	return newPoolerBefore(t, "host="+shared.server.dir, role)
}

// newPoolerBefore starts a PgBouncer before a server that has those settings.
func newPoolerBefore(t testing.TB, server, role string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // where Debian has it, not in every PATH
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("left out: the program pgbouncer is not installed")
	}
	s, err := newFolder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(s.dir) })
	for name, text := range map[string]string{
		"users": fmt.Sprintf("%q \"\"\n", role),
		"conf": fmt.Sprintf("[databases]\n* = %[1]s\n[pgbouncer]\nunix_socket_dir = %[2]s\nlisten_port = 6432\npool_mode = transaction\n"+
			"default_pool_size = %[3]d\nmax_client_conn = 400\nauth_type = trust\nauth_file = %[2]s/users\n", server, s.dir, poolerConns),
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	process := s.command(program, filepath.Join(s.dir, "conf"))
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Process.Kill()
		process.Wait()
	})
	through := "postgres:///postgres?port=6432&user=" + role + "&host=" + url.QueryEscape(s.dir)
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		c, err := pgx.Connect(t.Context(), through)
		if err == nil {
			c.Close(t.Context())
			return through
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("PgBouncer does not answer: %v", err)
		}
	}
}

// Two stores with many callers work through a pooler, with the plain URL. What was
// acknowledged is durable, whatever the role's setting is, and the pooler's
// connections are left as they were.
func TestPooler(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	const callers, creates = 40, 8
	role, direct := newCarelessRole(t)
	through := newPooler(t, role)
	schema := newSchema(t, serverURL(t))
	stores := []*postgres.Store{open(t, through, schema), open(t, through, schema)}
	refuseCarelessCommits(t, direct, schema)
	account := addAccount(t, stores[0])
	var l ledger
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range creates {
				createSomehow(stores[i%2], &l, func() *contacts.ContactRecord { return newContact(account) }, i/2)
			}
		})
	}
	wg.Wait()
	if len(l.failed)+len(l.unknown) > 0 {
		t.Errorf("%d creates failed, %d of unknown outcome", len(l.failed), len(l.unknown))
	}
	l.check(t, open(t, direct, schema))
	wantLife(t, stores[1])

	for range poolerConns {
		c := connect(t, with(t, through, "default_query_exec_mode", "exec"))
		tx, err := c.Begin(t.Context()) // keeps the pooler's connection until the test ends
		if err != nil {
			t.Fatal(err)
		}
		rows, err := tx.Query(t.Context(), `SELECT 'setting ' || name FROM pg_settings WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding')
			UNION ALL SELECT 'statement ' || statement FROM pg_prepared_statements`)
		if err != nil {
			t.Fatal(err)
		}
		left, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(left) > 0 {
			t.Errorf("left on a connection of the pooler: %q, %v", left, err)
		}
	}
}

// A pool of the host prepares statements, which not every pooler keeps. The error
// names the setting.
func TestNewBehindAPooler(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	role, _ := newCarelessRole(t)
	through := newPooler(t, role)
	opts := &postgres.Options{Schema: newSchema(t, serverURL(t))}
	const setting = "default_query_exec_mode"
	pool := newPool(t, through)
	if _, err := postgres.New(t.Context(), pool, opts); err == nil || !strings.Contains(err.Error(), setting) {
		t.Errorf("New: got error %v, want one that names %s", err, setting)
	}
	for _, mode := range []string{"cache_describe", "describe_exec", "exec", "simple_protocol"} {
		s, err := postgres.New(t.Context(), newPool(t, with(t, through, setting, mode)), opts)
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		wantLife(t, s)
		s.Close()
	}
}

// A setting in the URL that PgBouncer does not know is named.
func TestPoolerRefusesASetting(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	role, _ := newCarelessRole(t)
	through := newPooler(t, role)
	if err := openErr(t, with(t, through, "statement_timeout", "5000"), nil, nil); !strings.Contains(err.Error(), "statement_timeout") {
		t.Errorf("Open: got error %v, want one that names statement_timeout", err)
	}
}

// The pooler loses the server, and says so itself. In the commit nobody knows how
// it went, whatever the pooler says. Before it the store does it again.
func TestFaultPoolerLosesTheServer(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	base := serverURL(t)
	if shared.server == nil {
		t.Skip("left out: the proxy needs the socket of a server of the tests' own")
	}
	schema := newSchema(t, base)
	direct := open(t, base, schema)
	for _, c := range []struct {
		text    string
		how     cut
		unknown bool
	}{{"COMMIT\x00", cutBefore, true}, {"COMMIT\x00", cutAfter, true}, {"BEGIN", cutBefore, false}} {
		p := newProxy(t, shared.server.socket(), c.text, nil)
		host, port, err := net.SplitHostPort(p.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		through := open(t, newPoolerBefore(t, "host="+host+" port="+port, "postgres"), schema)
		for name, w := range writings(t, through, direct) {
			if w.oneTrip && !c.unknown {
				continue
			}
			p.cut.Store(int32(c.how))
			done, err := w.write()
			if errors.Is(err, contacts.ErrOutcomeUnknown) != c.unknown || (err != nil) != c.unknown {
				t.Errorf("%s, server lost at %q (%d): got error %v", name, c.text, c.how, err)
			}
			if got, want := done(), !c.unknown || c.how == cutAfter; got != want {
				t.Errorf("%s, server lost at %q (%d): done is %t, want %t", name, c.text, c.how, got, want)
			}
		}
	}
}
