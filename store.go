package contacts

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// A Store keeps accounts, teams, API keys and contacts. A [Service] puts the
// rules on top, so a store is dumb on purpose: it receives finished records and
// never validates, normalises, defaults or authorises. Its job is identity,
// atomicity, durability, order and look-up. Package storetest checks every
// sentence of this contract; run it on a store of your own.
//
// # What every store must do
//
//   - Concurrency: all methods may be called from many goroutines at once.
//   - Ownership: an argument belongs to the caller, who may change it as soon as
//     the call has returned; a result belongs to the caller too, and changing it
//     changes nothing in the store. The one exception is said at FindKey.
//   - Atomicity: a record is stored whole, with everything in it, or not at
//     all. Nobody ever sees a part of it.
//   - Durability: when a write has returned without an error, it outlives the
//     process, as far as the store promises to outlive it at all. Every later
//     read sees it, from any process on the same store.
//   - Fidelity: a record comes back equal, field by field: text byte for byte
//     whatever it holds (NUL excepted, which never arrives), letter case
//     included; times to the microsecond, in UTC, the zero time as the zero
//     time; empty slices as nil.
//   - Tenancy: a record is found only under the account it was stored under.
//   - Cancellation: a call whose context is done returns promptly with an error
//     that matches the context's. A call whose context is done before it
//     started stores nothing.
//
// # What a store returns
//
// A store says what happened with [ErrNotFound], [ErrExists], [ErrClosed] and
// [ErrOutcomeUnknown], wrapped as it likes; everything else is taken for a
// fault. An error of a write means that nothing was stored, unless it matches
// ErrOutcomeUnknown. No error may hold a name, an e-mail address, a number, a
// context or a key hash.
//
// # What a Service promises to a store
//
// All text is valid UTF-8 without NUL. Ids of contacts, phone numbers, accounts
// and keys are unique (UUIDv7) and set. Ids of teams are not negative. Times are
// UTC and whole microseconds. The contexts of a record are JSON objects, with
// their names sorted. A query has a known kind and a positive limit. A
// deactivation names one key, with a time, or one account.
type Store interface {
	// AddToDirectory stores all records of add in one atomic step and returns
	// them as stored, in the order given: a team with ID 0 gets the lowest id
	// above every team that its account has then, starting at 1. Records of one
	// call may refer to each other. Team ids are scoped to their account.
	//
	// ErrExists: an account id, a team id within its account, a key id or a key
	// hash is taken. ErrNotFound: the account of a team or of a key does not
	// exist.
	AddToDirectory(ctx context.Context, add Directory) (Directory, error)

	// ListDirectory returns the records of one kind, in ascending order of id,
	// starting behind the query's position, at most Limit of them. Accounts
	// are listed across the store, teams and keys within q.AccountID; an
	// account that does not exist has none.
	ListDirectory(ctx context.Context, q DirectoryQuery) (Directory, error)

	// Deactivate revokes a key or disables an account, or enables an account
	// again. A key that is revoked already keeps its first time, and so does an
	// account that is disabled; both are no error. The change holds for the
	// next FindKey in every process on the same store.
	//
	// ErrNotFound: there is no such key or account.
	Deactivate(ctx context.Context, d Deactivation) error

	// FindKey returns the key with that hash, and whether its account is
	// disabled. It does not judge: revoked and expired keys are found too. It is
	// called for every call of a Service. The result is shared: neither side
	// changes it.
	//
	// ErrNotFound: there is no such key.
	FindKey(ctx context.Context, hash [32]byte) (*KeyRecord, error)

	// FindTeam returns a team of the account.
	//
	// ErrNotFound: the account has no such team, whoever else may have one.
	FindTeam(ctx context.Context, accountID uuid.UUID, id int64) (*Team, error)

	// CreateContacts stores the records of the batch, each on its own: one that
	// fails takes no other with it. It returns nil if all were stored, else one
	// error for each record, in the order of the batch, nil for those stored.
	// The batch may mix accounts. An empty batch is no error.
	//
	// ErrExists: the account has a contact of that id, or the batch had it
	// before. ErrNotFound: the account, or its team of that id, does not exist.
	CreateContacts(ctx context.Context, batch ContactBatch) []error

	// FindContact returns a contact of the account.
	//
	// ErrNotFound: the account has no such contact.
	FindContact(ctx context.Context, accountID, id uuid.UUID) (*ContactRecord, error)

	// Close finishes what was accepted and releases what the store holds. From
	// then on every method returns ErrClosed. Close may be called twice; the
	// second call returns nil.
	Close() error
}

// A Directory is a set of the records that a host sets up.
type Directory struct {
	Accounts []Account
	Teams    []Team
	Keys     []KeyRecord
}

// A DirectoryKind says which records of the directory a query lists.
type DirectoryKind int

// The kinds of records in a directory.
const (
	DirectoryAccounts DirectoryKind = iota + 1
	DirectoryTeams
	DirectoryKeys
)

// A DirectoryQuery asks for one page of the directory.
type DirectoryQuery struct {
	Kind      DirectoryKind
	AccountID uuid.UUID // for teams and keys
	After     uuid.UUID // the page starts behind this account or key
	AfterTeam int64     // the page starts behind this team
	Limit     int       // at least 1
}

// A Deactivation names one account or one key: the id that is set.
type Deactivation struct {
	KeyID     uuid.UUID
	AccountID uuid.UUID
	At        time.Time // zero, for an account only: enable it again
}

// A KeyRecord is an API key as a store keeps it.
type KeyRecord struct {
	APIKey
	Hash [32]byte // SHA-256 of the whole key, which itself is stored nowhere

	// AccountDisabledAt is that of the key's account; a store sets it in what
	// it returns and ignores it in what it is given.
	AccountDisabledAt time.Time
}

// A ContactBatch is what one call of CreateContacts stores. One contact is a
// batch of one.
type ContactBatch struct {
	Records []*ContactRecord
}

// A ContactRecord is a contact as a store keeps it.
type ContactRecord struct {
	// Contact without its contexts, which are nil.
	Contact Contact
	// The contexts as JSON text; "" for one that is absent.
	CustomContext   string
	IndustryContext string
}
