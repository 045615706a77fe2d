package contacts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// An IssueKeyInput says what a new API key may do.
type IssueKeyInput struct {
	AccountID   uuid.UUID
	Name        string       // for people, up to 200 characters; may be empty
	Permissions []Permission // none: the key may do nothing
	TeamIDs     []int64      // the teams it may access, whether they exist already or not
	AllTeams    bool         // every team of the account, later ones too
	ExpiresAt   time.Time    // from then on the key is invalid; zero: never
}

// AdminOptions are the options of an [Admin]. The zero value, and nil, is the
// default.
type AdminOptions struct {
	// KeyPrefix starts every key that is issued, so that people and secret
	// scanners recognise it: 1 to 16 lower-case letters and digits. "": "ck".
	KeyPrefix string

	// Permissions are the host's own permissions. IssueKey refuses those that are
	// neither here nor of this package, because they are misspelt. nil: none.
	Permissions []Permission

	// DoNotCallSecrets are the same as Options.DoNotCallSecrets. They are needed to
	// erase a person and to verify it. nil: those that the library made.
	DoNotCallSecrets [][]byte

	// Actor names who uses the Admin, for the record of who changed what: up to
	// 200 characters. "": nobody is named.
	Actor string

	// EventPoll is how long [Admin.Events] waits between two looks for new events.
	// 0: 250 ms. Less than 10 ms counts as 10 ms.
	EventPoll time.Duration

	// Now is the clock. Where it is not in the years 1 to 9999, nothing is
	// stored: the call is CodeServerError. nil: time.Now.
	Now func() time.Time

	// NewID returns the id of the next account, key, erasure or batch of events, as
	// Options.NewID does. nil: UUIDv7s of the time of Now, in ascending order.
	NewID func() uuid.UUID
}

// An Admin sets up what a [Service] works with: accounts, teams and API keys.
// It is for the host program itself, needs no key and checks no permission. Its
// methods may be called from many goroutines at once.
//
// Its errors are [*Error] too: CodeValidationError for input that is wrong,
// CodeNotFound for an account or a key that does not exist, CodeServerError. The
// zero value cannot be used; see [NewAdmin].
type Admin struct {
	store       Store
	prefix      string
	permissions []Permission // the host's own
	actor       string
	eventPoll   time.Duration
	ledgers     ledgers
	ledgerErr   error // what is wrong with DoNotCallSecrets; nil: nothing
	clock       clock
	ids         *idSource
}

// NewAdmin returns an Admin on the store, which the caller closes. A nil opts means
// the defaults. An invalid KeyPrefix, Actor or secret is an error of the calls that
// need it.
func NewAdmin(store Store, opts *AdminOptions) *Admin {
	if opts == nil {
		opts = new(AdminOptions)
	}
	a := &Admin{
		store:       store,
		prefix:      cmp.Or(opts.KeyPrefix, defaultKeyPrefix),
		permissions: slices.Clone(opts.Permissions),
		actor:       opts.Actor,
		eventPoll:   max(minEventPoll, cmp.Or(opts.EventPoll, defaultEventPoll)),
		clock:       opts.Now,
		ids:         newIDSource(opts.NewID),
	}
	if a.clock == nil {
		a.clock = time.Now
	}
	a.ledgers = newLedgers(store, a.clock, opts.DoNotCallSecrets)
	if i, why, found := shortLedgerSecret(opts.DoNotCallSecrets); found {
		a.ledgerErr = NewValidationError(FieldError{element("do_not_call_secrets", i), FieldInvalid, "of AdminOptions " + why})
	}
	return a
}

// The limits of what a host names, in characters.
const (
	maxAdminName  = 200
	maxPermission = 64
)

// CreateAccount creates an account. Its name is trimmed, has 1 to 200 characters and
// need not be unique.
func (a *Admin) CreateAccount(ctx context.Context, name string) (*Account, error) {
	var bad problems
	id, now, err := a.newRecord()
	if err != nil {
		return nil, err
	}
	account := Account{ID: id, Name: text(name, "name", maxAdminName, &bad), CreatedAt: now}
	if account.Name == "" && !bad.has("name") {
		bad.add("name", FieldRequired, "is required")
	}
	added, err := a.add(ctx, Directory{Accounts: []Account{account}}, &bad)
	if err != nil {
		return nil, err
	}
	return &added.Accounts[0], nil
}

// DisableAccount makes every key of the account invalid, from the next call on.
// Doing it twice is no error.
func (a *Admin) DisableAccount(ctx context.Context, id uuid.UUID) error {
	now, err := a.now()
	if err != nil {
		return err
	}
	return a.update(ctx, DirectoryUpdate{AccountID: id, At: now})
}

// EnableAccount undoes DisableAccount. Keys that were revoked stay revoked.
func (a *Admin) EnableAccount(ctx context.Context, id uuid.UUID) error {
	return a.update(ctx, DirectoryUpdate{AccountID: id})
}

// Accounts yields all accounts in the order of their creation, a page at a
// time; an error ends it.
func (a *Admin) Accounts(ctx context.Context) iter.Seq2[Account, error] {
	return allAccounts(ctx, a.store)
}

func allAccounts(ctx context.Context, store Store) iter.Seq2[Account, error] {
	return walkDirectory(ctx, store, DirectoryQuery{Kind: DirectoryAccounts},
		func(d Directory) []Account { return d.Accounts },
		func(q *DirectoryQuery, last Account) { q.After = last.ID })
}

// CreateTeam creates a team of an account that exists. Its name is trimmed and has up
// to 200 characters. With ID 0 it gets the next id of the account, counted from 1; an
// id that is taken is a CodeValidationError that matches [ErrExists].
func (a *Admin) CreateTeam(ctx context.Context, team Team) (*Team, error) {
	var bad problems
	team.Name = text(team.Name, "name", maxAdminName, &bad)
	now, err := a.now()
	if err != nil {
		return nil, err
	}
	team.CreatedAt = now
	needsAccount(team.AccountID, &bad)
	teamID(team.ID, &bad)
	added, err := a.add(ctx, Directory{Teams: []Team{team}}, &bad)
	if errors.Is(err, ErrExists) {
		e := NewValidationError(FieldError{"team_id", FieldDuplicate, "is taken in this account"})
		e.cause = ErrExists
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	return &added.Teams[0], nil
}

// Teams yields the teams of an account in the order of their ids; an error ends
// it. An account that does not exist has none.
func (a *Admin) Teams(ctx context.Context, accountID uuid.UUID) iter.Seq2[Team, error] {
	return walkDirectory(ctx, a.store, DirectoryQuery{Kind: DirectoryTeams, AccountID: accountID},
		func(d Directory) []Team { return d.Teams },
		func(q *DirectoryQuery, last Team) { q.AfterTeam = last.ID })
}

// IssueKey issues an API key. The secret is what callers of a [Service] give. It
// is returned only here: the store keeps its hash alone.
func (a *Admin) IssueKey(ctx context.Context, in IssueKeyInput) (secret string, key *APIKey, err error) {
	if !isKeyPrefix(a.prefix) {
		return "", nil, NewValidationError(FieldError{"key_prefix", FieldInvalid,
			fmt.Sprintf("of AdminOptions must be 1 to %d lower-case letters and digits, or empty for %q", maxKeyPrefix, defaultKeyPrefix)})
	}
	var bad problems
	id, now, err := a.newRecord()
	if err != nil {
		return "", nil, err
	}
	k := APIKey{
		ID:        id,
		AccountID: in.AccountID,
		Name:      text(in.Name, "name", maxAdminName, &bad),
		AllTeams:  in.AllTeams,
		CreatedAt: now,
	}
	needsAccount(in.AccountID, &bad)
	if !in.ExpiresAt.IsZero() {
		k.ExpiresAt = timestamp(in.ExpiresAt)
		if !inCalendar(k.ExpiresAt) || k.ExpiresAt.IsZero() {
			bad.add("expires_at", FieldInvalid, wrongYear)
		}
	}
	for i, p := range in.Permissions {
		field := element("permissions", i)
		p := Permission(text(string(p), field, maxPermission, &bad))
		switch why := checkPermission(p, a.permissions); {
		case bad.has(field):
		case p == "":
			bad.add(field, FieldRequired, "must not be empty")
		case why != "":
			bad.add(field, FieldNotAllowed, why)
		}
		if !slices.Contains(k.Permissions, p) {
			k.Permissions = append(k.Permissions, p)
		}
	}
	for i, id := range in.TeamIDs {
		if id <= 0 {
			bad.add(element("team_ids", i), FieldInvalid, "must be a positive number")
		}
		if !slices.Contains(k.TeamIDs, id) {
			k.TeamIDs = append(k.TeamIDs, id)
		}
	}
	secret = newKey(a.prefix)
	hash, _ := hashKey(secret)
	added, err := a.add(ctx, Directory{Keys: []KeyRecord{{APIKey: k, Hash: hash}}}, &bad)
	if err != nil {
		return "", nil, err
	}
	return secret, &added.Keys[0].APIKey, nil
}

// RevokeKey makes a key invalid for good, from the next call on, in every
// process on the same store. Doing it twice is no error.
func (a *Admin) RevokeKey(ctx context.Context, keyID uuid.UUID) error {
	now, err := a.now()
	if err != nil {
		return err
	}
	return a.update(ctx, DirectoryUpdate{KeyID: keyID, At: now})
}

// Keys yields the keys of an account in the order of their creation, revoked
// and expired ones included; an error ends it. An account that does not exist
// has none.
func (a *Admin) Keys(ctx context.Context, accountID uuid.UUID) iter.Seq2[APIKey, error] {
	return walkDirectory(ctx, a.store, DirectoryQuery{Kind: DirectoryKeys, AccountID: accountID},
		func(d Directory) []APIKey {
			keys := make([]APIKey, len(d.Keys))
			for i, k := range d.Keys {
				keys[i] = k.APIKey
			}
			return keys
		},
		func(q *DirectoryQuery, last APIKey) { q.After = last.ID })
}

// now is the time of what is stored.
func (a *Admin) now() (time.Time, error) {
	now, err := a.clock.read()
	if err != nil {
		return now, newServerError(err)
	}
	return now, nil
}

// who returns the host as an actor.
func (a *Admin) who() (Actor, error) {
	var bad problems
	return Actor{Kind: ActorAdmin, Name: text(a.actor, "actor", maxAdminName, &bad)}, bad.err()
}

// newRecord returns the id and the time of a new record.
func (a *Admin) newRecord() (id uuid.UUID, now time.Time, err error) {
	if now, err = a.now(); err != nil {
		return id, now, err
	}
	if id, err = a.ids.next(now); err != nil {
		return id, now, newServerError(err)
	}
	return id, now, nil
}

// add stores the records, unless something is wrong with them.
func (a *Admin) add(ctx context.Context, d Directory, bad *problems) (Directory, error) {
	if err := bad.err(); err != nil {
		return Directory{}, err
	}
	if a.store == nil {
		return Directory{}, noStore()
	}
	added, err := a.store.AddToDirectory(ctx, d)
	if errors.Is(err, ErrNotFound) {
		return Directory{}, noSuch("account")
	}
	if err != nil {
		return Directory{}, newServerError(err)
	}
	return added, nil
}

func (a *Admin) update(ctx context.Context, u DirectoryUpdate) error {
	if a.store == nil {
		return noStore()
	}
	what := "account"
	switch {
	case u.KeyID != uuid.Nil:
		what = "key"
	case u.AccountID == uuid.Nil:
		return noSuch("account or key: the id is zero")
	}
	err := a.store.UpdateDirectory(ctx, u)
	if errors.Is(err, ErrNotFound) {
		return noSuch(what)
	}
	if err != nil {
		return newServerError(err)
	}
	return nil
}

// noStore is the one server error that shows its cause: the programmer sees it
// before any client.
func noStore() error {
	return &Error{Code: CodeServerError, Message: strings.TrimPrefix(errNilStore.Error(), "contacts: ")}
}

// needsAccount refuses the zero id, which no account has.
func needsAccount(id uuid.UUID, bad *problems) {
	if id == uuid.Nil {
		bad.add("account_id", FieldRequired, "is required; give the ID of an Account")
	}
}

// noSuch says what was not found.
func noSuch(what string) error {
	e := newError(ErrNotFound)
	e.Message = "there is no such " + what
	return e
}

// walkDirectory yields the records that a query finds, a page at a time. An error ends
// it.
func walkDirectory[T any](ctx context.Context, store Store, q DirectoryQuery, page func(Directory) []T, advance func(*DirectoryQuery, T)) iter.Seq2[T, error] {
	const pageSize = 100
	q.Limit = pageSize
	return func(yield func(T, error) bool) {
		q := q // each walk starts at the beginning
		for {
			var zero T
			if store == nil {
				yield(zero, noStore())
				return
			}
			d, err := store.ListDirectory(ctx, q)
			if err != nil {
				yield(zero, newServerError(err))
				return
			}
			records := page(d)
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
			if len(records) < pageSize {
				return
			}
			advance(&q, records[len(records)-1])
		}
	}
}
