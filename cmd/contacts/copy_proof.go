package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"strings"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A digest stands for all records of one kind of an account, in their order.
type digest struct {
	Number int
	Sum    [sha256.Size]byte
}

// kinds are what is compared, in the order of the output.
var kinds = []string{"account", "teams", "keys", "settings", "contacts", "entries"}

// proof is what the comparison of one account says.
type proof struct {
	AccountID uuid.UUID      `json:"account_id"`
	Numbers   map[string]int `json:"numbers"` // of each kind, in the source
	Differs   []string       `json:"differs,omitempty"`
}

// prove reads both stores once more, prints what they have, and returns the
// differences.
func (y *copier) prove(ctx context.Context) (differences []string, err error) {
	source, err := y.accounts(ctx, y.from)
	if err != nil {
		return nil, err
	}
	target, err := y.accounts(ctx, y.to)
	if err != nil {
		return nil, err
	}
	var proofs []proof
	both := maps.Clone(source)
	maps.Copy(both, target)
	for _, id := range sorted(both) {
		f, err := y.digests(ctx, y.from, id, source)
		if err != nil {
			return nil, err
		}
		t, err := y.digests(ctx, y.to, id, target)
		if err != nil {
			return nil, err
		}
		p := proof{AccountID: id, Numbers: make(map[string]int)}
		for _, kind := range kinds {
			p.Numbers[kind] = f[kind].Number
			if f[kind] != t[kind] {
				p.Differs = append(p.Differs, kind)
				differences = append(differences, fmt.Sprintf("account %s: the %s differ: %d in FROM, %d in TO", id, kind, f[kind].Number, t[kind].Number))
			}
		}
		proofs = append(proofs, p)
	}
	number := func(kind string) func(proof) string {
		return func(p proof) string { return fmt.Sprint(p.Numbers[kind]) }
	}
	columns := []column[proof]{{"ACCOUNT", func(p proof) string { return p.AccountID.String() }}}
	for _, kind := range kinds[1:] {
		columns = append(columns, column[proof]{strings.ToUpper(kind), number(kind)})
	}
	return differences, list(y.s.out, these(proofs...), columns...)
}

// A digester adds up records.
type digester struct {
	number int
	hash   hash.Hash
	err    error
}

// add adds a record, as JSON.
func (d *digester) add(record any) {
	d.number++
	text, err := json.Marshal(record)
	if err != nil {
		d.err = err
	}
	d.hash.Write(text)
	d.hash.Write([]byte{'\n'})
}

// digests returns a digest for each kind of records of an account.
func (y *copier) digests(ctx context.Context, store contacts.Store, id uuid.UUID, accounts map[uuid.UUID]contacts.Account) (map[string]digest, error) {
	all := make(map[string]digest)
	account, ok := accounts[id]
	if !ok {
		return all, nil
	}
	for kind, walk := range map[string]func(*digester) error{
		"account":  func(d *digester) error { d.add(account); return nil },
		"teams":    func(d *digester) error { return addDirectory(ctx, d, store, contacts.DirectoryTeams, id) },
		"keys":     func(d *digester) error { return addDirectory(ctx, d, store, contacts.DirectoryKeys, id) },
		"settings": func(d *digester) error { return addDirectory(ctx, d, store, contacts.DirectorySettings, id) },
		"contacts": func(d *digester) error {
			for r, err := range contactsOf(ctx, store, id) {
				if err != nil {
					return err
				}
				d.add(r)
			}
			return nil
		},
		"entries": func(d *digester) error { return y.addEntries(ctx, d, store, id) },
	} {
		d := &digester{hash: sha256.New()}
		if err := walk(d); err != nil {
			return nil, err
		}
		if d.err != nil {
			return nil, d.err
		}
		all[kind] = digest{d.number, [sha256.Size]byte(d.hash.Sum(nil))}
	}
	return all, nil
}

func addDirectory(ctx context.Context, d *digester, store contacts.Store, kind contacts.DirectoryKind, account uuid.UUID) error {
	for page, err := range directory(ctx, store, kind, account) {
		if err != nil {
			return err
		}
		for _, team := range page.Teams {
			d.add(team)
		}
		for _, key := range page.Keys {
			d.add(key)
		}
		for _, setting := range page.Settings {
			d.add(setting)
		}
	}
	return nil
}

// addEntries leaves out events that have ended: each store removes those when it likes.
func (y *copier) addEntries(ctx context.Context, d *digester, store contacts.Store, account uuid.UUID) error {
	for e, err := range entriesOf(ctx, store, account) {
		if err != nil {
			return err
		}
		if e.Kind == contacts.JournalEvent && !e.EndsAt.IsZero() && !y.now.Before(e.EndsAt) {
			continue
		}
		d.add(e)
	}
	return nil
}
