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
//     all, and so is a change of it. Nobody ever sees a part of it.
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
// A store says what happened with [ErrNotFound], [ErrExists], [ErrConflict],
// [ErrIdempotencyConflict], [ErrBatchFailed], [ErrClosed] and
// [ErrOutcomeUnknown], wrapped as it likes; everything else is taken for a
// fault. An error of a write means that nothing was stored, unless it matches
// ErrOutcomeUnknown. No error may hold a name, an e-mail address, a number, a
// context or a hash.
//
// # What a Service promises to a store
//
// All text is valid UTF-8 without NUL. Ids of contacts, phone numbers, accounts
// and keys are unique (UUIDv7) and set. Ids of teams are not negative. Times are
// UTC and whole microseconds. The contexts of a record are JSON objects, with
// their names sorted. A query has a known kind and a positive limit, and its
// search is in the form of [FoldSearch]. A deactivation names one key, with a
// time, or one account. A change keeps the ids of its record, and when it was
// created, and raises its version. Idempotencies are nil, or as many as the
// records of their batch; each that is set has a Result, and a time, in whole
// microseconds, at which it ends.
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
	// outcome for each record, in the order of the batch, the zero value for
	// those stored. The batch may mix accounts. An empty batch is no error.
	//
	// With AllOrNothing either all records are stored, in one atomic step, or
	// none: then each that did not fail itself fails with ErrBatchFailed. A
	// record that is answered with an earlier Result has not failed.
	//
	// A record with an idempotency is stored together with it, in one atomic
	// step, unless the account has one of that Key already which has not ended
	// by batch.Now. Then nothing is stored for it, whatever its id and its team:
	// if the Input of both is the same, the outcome holds the earlier one's
	// Result, and no error; if not, the outcome is ErrIdempotencyConflict. That holds within a batch as well.
	// Of any number of creates with one Key at the same time, in any number of
	// processes, one stores its contact. An idempotency that has ended may be
	// forgotten, and one that has not never is.
	//
	// ErrExists: the account has a contact of that id, or the batch had it
	// before. ErrNotFound: the account, or its team of that id, does not exist.
	CreateContacts(ctx context.Context, batch ContactBatch) []ContactOutcome

	// FindContact returns a contact of the account. It does not judge: one that
	// was deleted is found too.
	//
	// ErrNotFound: the account has no such contact.
	FindContact(ctx context.Context, accountID, id uuid.UUID) (*ContactRecord, error)

	// ListContacts returns the contacts of an account that match all of the
	// query, in descending order of id, at most Limit of them; a field of the
	// zero value matches everything, if nothing else is said of it. Text is
	// compared byte for byte. A listing goes on behind the id of the last
	// contact of its previous page, so that whoever writes meanwhile makes it
	// neither skip nor repeat a contact. An account that does not exist has
	// none.
	ListContacts(ctx context.Context, q ContactQuery) (ContactList, error)

	// UpdateContacts replaces contacts with their changed records, each on its
	// own, if the stored one has the version that the change expects. A contact
	// that was deleted can be changed too. It returns nil if all were stored,
	// else one error for each change, in their order, nil for those stored. Of
	// any number of changes that expect one version, one is stored.
	//
	// ErrNotFound: the account has no such contact, or no such team.
	// ErrConflict: the stored contact has another version.
	UpdateContacts(ctx context.Context, changes []ContactChange) []error

	// PurgeContacts removes contacts for good, with all that is kept of them:
	// of those that match the query, at most Limit, and only such as were
	// deleted. It returns how many. An idempotency outlives the contact that it
	// was stored with.
	PurgeContacts(ctx context.Context, q PurgeQuery) (int, error)

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

	// Idempotencies holds one for each record; nil for a record without. It is
	// nil where no record has one.
	Idempotencies []*Idempotency
	Now           time.Time // set where there are Idempotencies; UTC, whole microseconds

	AllOrNothing bool
}

// An Idempotency makes a create that is sent again the same create. It is stored
// with the contact and found under its Key, within the contact's account.
type Idempotency struct {
	Key    [32]byte  // SHA-256 of the key that the caller gave
	Input  [32]byte  // SHA-256 of the input, to tell another one by
	Result string    // what the Service needs to answer again: JSON, kept byte for byte
	EndsAt time.Time // from then on it is as if it had never been
}

// A ContactOutcome is what became of one record of a batch. The zero value: it
// was stored.
type ContactOutcome struct {
	Err    error
	Result string // of the earlier create with the same idempotency; "": there was none
}

// A ContactQuery asks for one page of the contacts of an account. Each field that
// is set narrows it down.
type ContactQuery struct {
	AccountID uuid.UUID

	// A contact in a team matches if the team is one of Teams, or with
	// AllTeams; one without a team always does.
	Teams    []int64
	AllTeams bool

	// Deleted asks for the contacts that were deleted, in place of those that
	// were not.
	Deleted bool

	Status, Stage, Email string // equal to the contact's
	Tag                  string // one of its tags
	PhoneNumber          string // one of its numbers
	TeamID               int64  // its team
	Search               string // a part of its [ContactRecord.SearchText]

	After uuid.UUID // the page starts behind this contact
	Skip  int       // and leaves out so many that match
	Limit int       // at least 1

	// Count asks how many match in all, After, Skip and Limit apart.
	Count bool
}

// A ContactList is one page of contacts.
type ContactList struct {
	Records []*ContactRecord
	Count   int // 0 where the query did not ask
}

// A ContactChange puts a changed record in the place of the stored contact with
// its account and id.
type ContactChange struct {
	Record  *ContactRecord
	Version int64 // the version that the stored contact must have
}

// A PurgeQuery says which deleted contacts are to be removed.
type PurgeQuery struct {
	AccountID     uuid.UUID // zero: of every account
	ContactID     uuid.UUID // zero: every contact
	DeletedBefore time.Time // zero: whenever it was deleted
	Limit         int       // at least 1
}

// A ContactRecord is a contact as a store keeps it.
type ContactRecord struct {
	// Contact without its contexts, which are nil.
	Contact Contact
	// The contexts as JSON text; "" for one that is absent.
	CustomContext   string
	IndustryContext string
}
