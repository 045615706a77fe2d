package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
)

// A cut says what a proxy does with the next message that holds a text.
type cut int32

const (
	cutNothing cut = iota
	cutBefore      // the server never gets it, and the connection is gone
	cutAfter       // the server gets it, and the connection is gone before the answer comes
)

// A proxy is a way to a server, which can be cut.
type proxy struct {
	server, text string
	listener     net.Listener
	cut          atomic.Int32
	conns        sync.WaitGroup
}

// newProxy returns a way to the shared server.
func newProxy(t *testing.T, server, text string) *proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: server, text: text, listener: l}
	p.conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.conns.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.conns.Wait()
	})
	return p
}

// executeMessage is the message that has a statement executed, and not only described.
const executeMessage = "E\x00\x00\x00\x09\x00\x00\x00\x00\x00"

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(context.Background(), "unix", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	var silent atomic.Bool
	var back sync.WaitGroup
	back.Go(func() {
		defer client.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := server.Read(b)
			if err != nil || silent.Load() {
				return
			}
			client.Write(b[:n])
		}
	})
	defer back.Wait()
	defer server.Close()
	b := make([]byte, 1<<20)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		if bytes.Contains(b[:n], []byte(p.text)) && bytes.Contains(b[:n], []byte(executeMessage)) {
			switch how := cut(p.cut.Swap(int32(cutNothing))); how {
			case cutBefore:
				return
			case cutAfter:
				silent.Store(true)
				server.Write(b[:n])
				back.Wait() // until the server has answered
				return
			}
		}
		server.Write(b[:n])
	}
}

// openThrough opens a store whose connections go through a proxy, which sees the
// text of each statement.
func openThrough(t *testing.T, text string) (p *proxy, through, direct *postgres.Store) {
	t.Helper()
	base := serverURL(t)
	if shared.server == nil {
		t.Skip("left out: the proxy needs the socket of a server of the tests' own")
	}
	schema := newSchema(t, base)
	direct = open(t, base, schema)
	p = newProxy(t, shared.server.socket(), text)
	u, err := url.Parse("postgres://postgres@" + p.listener.Addr().String() + "/postgres?sslmode=disable&default_query_exec_mode=cache_describe")
	if err != nil {
		t.Fatal(err)
	}
	return p, open(t, u.String(), schema), direct
}

// writes are all ways to write, each with what tells whether it was done.
func writes(t *testing.T, through, direct *postgres.Store) map[string]func(ctx context.Context) (errs []error, done func() bool) {
	account := addAccount(t, direct)
	stored := newContact(account)
	doomed := newContact(account)
	doomed.Contact.DeletedAt = noon
	if err := create(t.Context(), direct, stored, doomed); err != nil {
		t.Fatal(err)
	}
	outcomes := func(batch contacts.ContactBatch) (errs []error) {
		for _, o := range through.CreateContacts(t.Context(), batch) {
			errs = append(errs, o.Err)
		}
		return errs
	}
	return map[string]func(ctx context.Context) ([]error, func() bool){
		"CreateContacts": func(context.Context) ([]error, func() bool) {
			r := newContact(account)
			return outcomes(contacts.ContactBatch{Records: []*contacts.ContactRecord{r}}), func() bool { return isWhole(t, direct, r) }
		},
		"CreateContacts of all or nothing": func(context.Context) ([]error, func() bool) {
			r := newContact(account)
			return outcomes(contacts.ContactBatch{Records: []*contacts.ContactRecord{r}, AllOrNothing: true}), func() bool { return isWhole(t, direct, r) }
		},
		"UpdateContacts": func(ctx context.Context) ([]error, func() bool) {
			c := change(stored, func(c *contacts.Contact) { c.FirstName = "Grace" })
			return through.UpdateContacts(ctx, []contacts.ContactChange{c}), func() bool {
				got, err := direct.FindContact(t.Context(), account, stored.Contact.ID)
				return err == nil && got.Contact.FirstName == "Grace"
			}
		},
		"AddToDirectory": func(ctx context.Context) ([]error, func() bool) {
			team := contacts.Team{AccountID: account, ID: 3, Name: "Late", CreatedAt: noon}
			_, err := through.AddToDirectory(ctx, contacts.Directory{Teams: []contacts.Team{team}})
			return []error{err}, func() bool {
				_, err := direct.FindTeam(t.Context(), account, 3)
				return err == nil
			}
		},
		"Deactivate": func(ctx context.Context) ([]error, func() bool) {
			err := through.Deactivate(ctx, contacts.Deactivation{AccountID: account, At: noon})
			return []error{err}, func() bool {
				d, err := direct.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryAccounts, Limit: 9})
				return err == nil && !d.Accounts[0].DisabledAt.IsZero()
			}
		},
		"PurgeContacts": func(ctx context.Context) ([]error, func() bool) {
			_, err := through.PurgeContacts(ctx, contacts.PurgeQuery{AccountID: account, Limit: 9})
			return []error{err}, func() bool {
				_, err := direct.FindContact(t.Context(), account, doomed.Contact.ID)
				return errors.Is(err, contacts.ErrNotFound)
			}
		},
	}
}

// The connection is lost in mid-commit: nobody knows how it went.
func TestFaultConnectionLostInCommit(t *testing.T) {
	t.Parallel()
	p, through, direct := openThrough(t, "COMMIT\x00")
	for name, write := range writes(t, through, direct) {
		for _, how := range []cut{cutBefore, cutAfter} {
			p.cut.Store(int32(how))
			errs, done := write(t.Context())
			for _, err := range errs {
				if !errors.Is(err, contacts.ErrOutcomeUnknown) {
					t.Errorf("%s, connection lost in the commit (%d): got error %v, want ErrOutcomeUnknown", name, how, err)
				}
			}
			if len(errs) == 0 {
				t.Errorf("%s, connection lost in the commit (%d): no error", name, how)
			}
			if got, want := done(), how == cutAfter; got != want {
				t.Errorf("%s, connection lost in the commit (%d): done is %t, want %t", name, how, got, want)
			}
		}
	}
	if err := create(t.Context(), through, newContact(addAccount(t, through))); err != nil {
		t.Errorf("the store does not go on: %v", err)
	}
}

// The connection is lost before the commit: nothing is stored, so that the store
// does it again on another.
func TestFaultConnectionLostBeforeCommit(t *testing.T) {
	t.Parallel()
	p, through, direct := openThrough(t, "BEGIN")
	for name, write := range writes(t, through, direct) {
		p.cut.Store(int32(cutBefore))
		errs, done := write(t.Context())
		if err := errors.Join(errs...); err != nil {
			t.Errorf("%s, connection lost before the commit: %v", name, err)
		}
		if !done() {
			t.Errorf("%s, connection lost before the commit: nothing was done", name)
		}
	}
}
