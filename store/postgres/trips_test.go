package postgres_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
)

// trips counts round trips: a client that writes after it has read begins one.
type trips struct{ n atomic.Int64 }

func (n *trips) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	return &countingConn{Conn: c, trips: n}, err
}

type countingConn struct {
	net.Conn
	trips *trips
	wrote atomic.Bool // since it has read
}

func (c *countingConn) Write(b []byte) (int, error) {
	if !c.wrote.Swap(true) {
		c.trips.n.Add(1)
	}
	return c.Conn.Write(b)
}

func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wrote.Store(false)
	return n, err
}

// How many round trips a call takes when it is not the first of its kind on its
// connection.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	var sent trips
	s := openWatched(t, func(c *pgx.ConnConfig) { c.DialFunc = sent.dial })
	svc, err := contacts.New(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	account := addAccount(t, s)
	key, _, err := contacts.NewAdmin(s, nil).IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: account, Name: "web", Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts}, AllTeams: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newContact(account)
	if err := create(t.Context(), s, r); err != nil {
		t.Fatal(err)
	}
	blocked := 0 // numbers
	for _, c := range []struct {
		name string
		want int64
		call func() error
	}{
		{"Service.CreateContact with a key that is known", 1, func() error {
			_, err := svc.CreateContact(t.Context(), key, contacts.CreateContactInput{FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+14155550123"}}})
			return err
		}},
		{"Service.GetContact", 2, func() error {
			_, err := svc.GetContact(t.Context(), key, r.Contact.ID)
			return err
		}},
		{"a create", 1, func() error { return create(t.Context(), s, newContact(account)) }},
		{"a create with an event", 1, func() error {
			m := recorded(newContact(account))
			m.Journal[0].Subject[15] |= 1 // after some entries the store removes what has ended
			return apply(t.Context(), s, m)
		}},
		{"a create with a claim and an event", 2, func() error {
			other := newContact(account)
			m := recorded(other)
			m.Claims = other.MatchKeys()
			m.Journal[0].Subject[15] |= 1
			return apply(t.Context(), s, m)
		}},
		{"a change", 2, func() (err error) {
			var m contacts.Mutation
			m, r = change(r, func(c *contacts.Contact) { c.FirstName = "Grace" })
			return apply(t.Context(), s, m)
		}},
		{"a list", 1, func() error {
			_, err := s.ListContacts(t.Context(), contacts.ContactQuery{AccountID: account, AllTeams: true, Limit: 9})
			return err
		}},
		{"Service.BlockCalls of a number that is blocked", 2, func() error { // from here on the account has a ledger
			_, err := svc.BlockCalls(t.Context(), key, contacts.DoNotCallInput{PhoneNumber: "+14155550123"})
			return err
		}},
		{"Service.CanCall", 2, func() error { return svc.CanCall(t.Context(), key, "+14155550124") }},
		{"Service.CreateContact with a block and a key that is known", 3, func() error {
			blocked++
			number := fmt.Sprintf("+1415555%04d", 200+blocked)
			_, err := svc.CreateContact(t.Context(), key, contacts.CreateContactInput{
				FirstName: "Ada", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: number, DoNotCall: true}},
			})
			return err
		}},
		{"Service.GetContact with a ledger", 3, func() error {
			_, err := svc.GetContact(t.Context(), key, r.Contact.ID)
			return err
		}},
	} {
		for range 3 { // the first two prepare their statements
			sent.n.Store(0)
			if err := c.call(); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		if got := sent.n.Load(); got != c.want {
			t.Errorf("%s takes %d round trips, want %d", c.name, got, c.want)
		}
	}
}

// openWatched opens a store on one connection, of which watch sees what it sends.
func openWatched(t *testing.T, watch func(*pgx.ConnConfig)) *postgres.Store {
	t.Helper()
	url := serverURL(t)
	s, _ := openOnPool(t, with(t, url, "pool_max_conns", "1"), &postgres.Options{Schema: newSchema(t, url)}, func(c *pgxpool.Config) {
		watch(c.ConnConfig)
		c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // however busy the machine is
	})
	return s
}
