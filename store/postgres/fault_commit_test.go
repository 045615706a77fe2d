package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
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
	message      string // that must be there too
	choose       func() cut
	listener     net.Listener
	cut          atomic.Int32
	clients      sync.Map // their connections
	conns        sync.WaitGroup
}

// newProxy returns a way to the shared server. choose says what it does with the next
// message; nil: what its field cut says, once.
func newProxy(t *testing.T, server, text string, choose func() cut) *proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: server, text: text, message: executeMessage, choose: choose, listener: l}
	if choose == nil {
		p.choose = func() cut { return cut(p.cut.Swap(int32(cutNothing))) }
	}
	p.conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.clients.Store(c, nil)
			p.conns.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.conns.Wait()
	})
	return p
}

// hangUp closes the connections of all clients.
func (p *proxy) hangUp() {
	p.clients.Range(func(c, _ any) bool {
		c.(net.Conn).Close()
		return true
	})
}

// The messages that have a statement executed, and only described.
const (
	executeMessage  = "E\x00\x00\x00\x09\x00\x00\x00\x00\x00"
	describeMessage = "D\x00\x00\x00\x06S\x00"
)

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
		if bytes.Contains(b[:n], []byte(p.text)) && bytes.Contains(b[:n], []byte(p.message)) {
			switch p.choose() {
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
// text of each statement. choose is that of newProxy.
func openThrough(t *testing.T, text string, choose func() cut) (p *proxy, through, direct *postgres.Store) {
	t.Helper()
	p, way, place := newPlaceThrough(t, text, choose)
	direct = openAt(t, place)
	return p, openAt(t, way), direct
}

// newPlaceThrough returns a new place, and the same one as it is reached through a
// proxy.
func newPlaceThrough(t *testing.T, text string, choose func() cut) (p *proxy, through, direct string) {
	t.Helper()
	direct = newPlace(t)
	if shared.server == nil {
		t.Skip("left out: the proxy needs the socket of a server of the tests' own")
	}
	schema, _, _ := strings.Cut(direct, "\n")
	p = newProxy(t, shared.server.socket(), text, choose)
	through = schema + "\npostgres://postgres@" + p.listener.Addr().String() + "/postgres?sslmode=disable&default_query_exec_mode=cache_describe"
	return p, through, direct
}

// A writing is a way to write.
type writing struct {
	// write writes something and returns what tells whether it was done.
	write func() (done func() bool, err error)
	// oneTrip: BEGIN and COMMIT are sent together, so that nobody knows the outcome
	// of a transaction whose connection was lost.
	oneTrip bool
}

// writings returns all ways to write.
func writings(t *testing.T, through, direct *postgres.Store) map[string]writing {
	account := addAccount(t, direct)
	stored, doomed := newContact(account), newContact(account)
	if err := create(t.Context(), direct, stored, doomed); err != nil {
		t.Fatal(err)
	}
	newest := func() int64 {
		entries, err := direct.ListJournal(t.Context(), contacts.JournalQuery{AccountID: account, Backwards: true, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return 0
		}
		return entries[0].Sequence
	}
	creating := func(prepare func(m *contacts.Mutation, b *contacts.MutationBatch)) func() (func() bool, error) {
		return func() (func() bool, error) {
			r := newContact(account)
			b := contacts.MutationBatch{Mutations: []contacts.Mutation{creation(r)}, Now: noon}
			prepare(&b.Mutations[0], &b)
			return func() bool { return isWhole(t, direct, r) }, applyBatch(t.Context(), through, b)
		}
	}
	return map[string]writing{
		"a create":                 {creating(func(*contacts.Mutation, *contacts.MutationBatch) {}), true},
		"a create, all or nothing": {creating(func(_ *contacts.Mutation, b *contacts.MutationBatch) { b.AllOrNothing = true }), false},
		"a create with an idempotency record": {creating(func(m *contacts.Mutation, _ *contacts.MutationBatch) {
			id := newID()
			m.Idempotency = once(0)
			copy(m.Idempotency.Key[:], id[:])
		}), false},
		"a change": {func() (func() bool, error) {
			next, _ := change(stored, func(c *contacts.Contact) { c.FirstName = "Grace" })
			done := func() bool {
				got, err := direct.FindContact(t.Context(), account, stored.Contact.ID)
				return err == nil && got.Contact.FirstName == "Grace"
			}
			return done, apply(t.Context(), through, next)
		}, false},
		"a removal": {func() (func() bool, error) {
			return func() bool { return !isWhole(t, direct, doomed) }, apply(t.Context(), through, removal(doomed))
		}, false},
		"a journal entry": {func() (func() bool, error) {
			before := newest()
			entry := contacts.Mutation{AccountID: account, Journal: []contacts.JournalEntry{event(stored)}}
			return func() bool { return newest() == before+1 }, apply(t.Context(), through, entry)
		}, false},
		"AddToDirectory": {func() (func() bool, error) {
			team := contacts.Team{AccountID: account, ID: 3, Name: "Late", CreatedAt: noon}
			_, err := through.AddToDirectory(t.Context(), contacts.Directory{Teams: []contacts.Team{team}})
			return func() bool {
				d, err := direct.ListDirectory(t.Context(), contacts.DirectoryQuery{Kind: contacts.DirectoryTeams, AccountID: account, Limit: 9})
				return err == nil && len(d.Teams) == 3
			}, err
		}, false},
		"UpdateDirectory": {func() (func() bool, error) {
			err := through.UpdateDirectory(t.Context(), contacts.DirectoryUpdate{AccountID: account, At: noon})
			return func() bool {
				a, err := direct.FindAccount(t.Context(), account)
				return err == nil && !a.DisabledAt.IsZero()
			}, err
		}, false},
	}
}

// The connection is lost during the commit: nobody knows how it went.
func TestFaultConnectionLostInCommit(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	p, through, direct := openThrough(t, "COMMIT\x00", nil)
	for name, w := range writings(t, through, direct) {
		for _, how := range []cut{cutBefore, cutAfter} {
			p.cut.Store(int32(how))
			done, err := w.write()
			if !errors.Is(err, contacts.ErrOutcomeUnknown) {
				t.Errorf("%s, connection lost in the commit (%d): got error %v, want ErrOutcomeUnknown", name, how, err)
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

// The connection is lost before the commit. Nothing is stored, so the store does
// it again on another.
func TestFaultConnectionLostBeforeCommit(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	p, through, direct := openThrough(t, "BEGIN", nil)
	for name, w := range writings(t, through, direct) {
		if w.oneTrip {
			continue
		}
		p.cut.Store(int32(cutBefore))
		done, err := w.write()
		if err != nil {
			t.Errorf("%s, connection lost before the commit: %v", name, err)
		}
		if !done() {
			t.Errorf("%s, connection lost before the commit: nothing was done", name)
		}
	}
}

// The connection is lost while a statement is prepared for its first use. Nothing of the
// transaction has been sent, also if it is sent in one part.
func TestFaultConnectionLostInPrepare(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	for _, how := range []cut{cutBefore, cutAfter} {
		p, way, place := newPlaceThrough(t, "WITH homes", nil)
		p.message = describeMessage
		through, direct := openAt(t, way), openAt(t, place)
		r := newContact(addAccount(t, direct))
		p.cut.Store(int32(how))
		if err := create(t.Context(), through, r); err != nil {
			t.Errorf("a create, connection lost while it was prepared (%d): %v", how, err)
		}
		if cut(p.cut.Load()) != cutNothing {
			t.Errorf("no connection was lost (%d)", how)
		}
		if !isWhole(t, direct, r) {
			t.Errorf("a create that was acknowledged is lost (%d)", how)
		}
	}
}

// The connections are closed between two calls. A create, which is sent in one part,
// is then sent on another connection.
func TestFaultConnectionsClosedWhileIdle(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	p, through, direct := openThrough(t, "nothing that is sent", nil)
	account := addAccount(t, direct)
	for range extent(3, 30) {
		if err := create(t.Context(), through, newContact(account)); err != nil {
			t.Fatal(err)
		}
		p.hangUp()
		r := newContact(account)
		if err := create(t.Context(), through, r); err != nil {
			t.Errorf("a create on connections that the server has closed: %v", err)
		}
		if !isWhole(t, direct, r) {
			t.Error("a create that was acknowledged is lost")
		}
	}
}
