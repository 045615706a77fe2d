package contacts

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

// A Store keeps accounts, settings, teams, API keys, contacts and the journal
// of each account. A [Service] holds all rules. A store receives finished
// records: it never validates, normalises, defaults or authorises. Package
// storetest checks every sentence of this contract; run it on a store of your
// own.
//
// # What every store must do
//
//   - Concurrency: all methods may be called from many goroutines at once.
//   - Ownership: an argument belongs to the caller, who may change it after the
//     call has returned. A result belongs to the caller too, and changing it
//     changes nothing in the store. FindKey and FindAccount say the exception.
//   - Atomicity: a mutation is stored whole or not at all. No reader ever sees
//     a part of it.
//   - Durability: a write that returned without an error outlives the process,
//     if the store promises to outlive it at all. Every later read sees it, from
//     any process on the same store.
//   - Fidelity: a record comes back equal, field by field. The do-not-call fields
//     of a contact and of its phone numbers are not kept. Text keeps every
//     byte and its letter case. Times keep their microseconds, are in UTC, and
//     the zero time stays the zero time. Empty slices come back as nil.
//   - Tenancy: a record is found only under the account it was stored under.
//   - Cancellation: a call whose context is done returns promptly with an error
//     that matches the context's. A call whose context was done before it
//     started stores nothing.
//
// # What a store returns
//
// A store says what happened with [ErrNotFound], [ErrTeamNotFound],
// [ErrExists], [ErrConflict], [ErrDuplicate], [ErrStale],
// [ErrIdempotencyConflict], [ErrBatchFailed], [ErrClosed] and
// [ErrOutcomeUnknown], wrapped as it likes. Any other error is a fault. An error
// of a write means that nothing was stored, unless it matches ErrOutcomeUnknown.
// No error may hold a name, an e-mail address, a number, a context or a hash.
//
// # What a Service promises to a store
//
// All text is valid UTF-8 without NUL. Ids of contacts, phone numbers, accounts
// and keys are unique (UUIDv7) and set. Ids of teams are not negative. Times are
// UTC and whole microseconds. The contexts of a record are JSON objects with
// sorted names. A query has a known kind and a positive limit, and its search is
// in the form of [FoldSearch]. Its Position may be any text. A directory update
// names one key, with a time, or one account.
//
// A batch has at most [MaxMutations] mutations, unless it is all or nothing. Its
// Now is set. The records of a mutation belong to the mutation's account and
// have the ids of their changes. A mutation is never empty. No two changes of one
// mutation have the same id. A change without a Record has a Version. Claims hold
// no key twice. Each idempotency record has a Result. A mutation appends at most
// 10,000 journal entries. It replaces the Data of events and of do-not-call
// entries, never that of an erasure. A journal query has at most 10,000 subjects,
// in ascending order. With DryRun, no two mutations of a batch have a contact, a
// match key or an idempotency key in common. A Service never sets Verbatim.
type Store interface {
	// AddToDirectory stores all records of add in one atomic step and returns
	// them as stored, in the order given. Records of one call may refer to each
	// other. Every field is kept as given. A team with ID 0 gets the lowest id
	// above every team that its account has then, starting at 1. Where no id is
	// above, the call is a fault. Team ids are scoped to their account. A setting
	// must have the version that is one above its account's; the account then has
	// that version. An account starts at version 0.
	//
	// ErrExists: an account id, a team id within its account, a key id or a key
	// hash is taken, or a setting has another version than the next one.
	// ErrNotFound: the account of a team, a key or a setting does not exist.
	AddToDirectory(ctx context.Context, add Directory) (Directory, error)

	// ListDirectory returns the records of one kind in ascending order of id,
	// settings in ascending order of version. The page starts after the query's
	// position and has at most Limit records. Accounts are listed across the
	// store; teams, keys and settings within q.AccountID. An account that does
	// not exist has none. Settings are listed in every version.
	ListDirectory(ctx context.Context, q DirectoryQuery) (Directory, error)

	// UpdateDirectory revokes a key, disables an account, or enables an account
	// again. A key that is revoked already keeps its first time, and so does an
	// account that is disabled. Neither is an error.
	//
	// ErrNotFound: there is no such key or account.
	UpdateDirectory(ctx context.Context, u DirectoryUpdate) error

	// FindKey returns the key with that hash and its account. It does not judge:
	// revoked and expired keys are found too. A directory change holds for the
	// next FindKey and FindAccount in every process on the same store. The
	// result is shared: neither side changes it. FindKey is called for nearly
	// every call of a Service.
	//
	// ErrNotFound: there is no such key.
	FindKey(ctx context.Context, hash [32]byte) (*KeyRecord, error)

	// FindAccount returns an account with its newest settings. A setting whose
	// newest value is "" is left out. The result is shared: neither side changes
	// it.
	//
	// ErrNotFound: there is no such account.
	FindAccount(ctx context.Context, id uuid.UUID) (*AccountRecord, error)

	// Apply judges the mutations of the batch in their order and stores those
	// that pass. Each sees what the earlier ones stored. A mutation that is
	// refused takes no other with it. The batch may mix accounts. Apply returns
	// nil if every mutation was stored and no outcome says more, else one outcome
	// for each mutation, in their order. Its error is about the whole call:
	// nothing of the batch was stored, unless it matches ErrOutcomeUnknown.
	//
	// With AllOrNothing either all mutations are stored, in one atomic step, or
	// none. In a batch that failed, each mutation that was not refused itself has
	// ErrBatchFailed. A mutation that is answered with an earlier Result is not
	// refused.
	//
	// With DryRun nothing is stored. The outcomes are those that the same call
	// without DryRun would have. DryRun works where nothing can be written.
	//
	// A mutation is judged in this order: account, idempotency record, settings
	// version, ids and versions of its contacts, teams, claims, journal. The first
	// refusal is its error; contacts and entries are judged in their order. Judging
	// comes before writing: a mutation may move a match key, or the id of a phone
	// number, between its own contacts. It may hold an idempotency record alone,
	// or journal entries alone.
	//
	// A contact change replaces the stored contact if it has the change's
	// Version. Version 0 stores a new contact, which may have any version and may
	// be deleted. A change without a Record removes the contact with all that is
	// kept of it. Deleted contacts can be changed and removed too. A store keeps
	// a record as it is: it never computes or checks versions, times or ids of
	// phone numbers. Of any number of changes that expect one version, in any
	// number of processes, one is stored.
	//
	// An idempotency record is stored with its mutation. If the account has one
	// with this Key that has not ended by batch.Now, nothing of the mutation is
	// stored and nothing more of it is judged. Same Input: the outcome is the
	// earlier Result. Different Input: ErrIdempotencyConflict. Of any number of
	// mutations with one Key, in any number of processes, one is stored. An
	// idempotency record outlives the contact that it was stored with.
	//
	// A live contact of the account holds a claim if one of its MatchKeys equals
	// it. No live contact outside the mutation may hold one. That holds for a
	// mutation that stores no contact, too. ErrDuplicate comes with the holders of
	// all claims: at most 10 for each claim, in ascending order of id. The outcome
	// of a stored mutation with claims has at most one holder: the deleted contact
	// outside the mutation with the highest id that holds one of them. No other
	// outcome has holders. Of mutations that claim one key for their contacts at
	// the same time, in any number of processes, at most one is stored.
	//
	// A journal entry with Sequence 0 is appended and gets the next number of its
	// account, starting at 1. The entries of one mutation get consecutive numbers
	// in their order. The numbers of an account have no gaps and are in the order
	// of the commits. An entry with another Sequence replaces the Data of the
	// stored entry that has this number, kind and subject. No entry replaces
	// another of its own mutation.
	//
	// With Verbatim, an entry whose Sequence is above the account's newest is
	// appended with that number, and the next number is one above it. A number up
	// to the newest replaces as it does without Verbatim. Where no stored entry
	// has the number, kind and subject, it is ErrExists.
	//
	// Apply may remove idempotency records and events that ended an hour or more
	// before batch.Now; the hour covers clocks that differ. Nothing else is ever
	// removed unasked. Entries of another kind stay, whatever their EndsAt says.
	// The newest entry of an account is never removed. Apply with no mutations
	// removes a bounded number of what may be removed. An event may stay for a second
	// more, so that events can be removed together.
	//
	// ErrNotFound: the account, the contact of a change, or the entry to replace
	// does not exist. ErrExists: the account has a contact of that id.
	// ErrConflict: the stored contact has another version. ErrTeamNotFound: the
	// account has no team of that id. ErrStale: the account has another settings
	// version.
	Apply(ctx context.Context, batch MutationBatch) ([]MutationOutcome, error)

	// FindContact returns a contact of the account. It does not judge: a deleted
	// contact is found too. If it cannot be read whole, the error holds a
	// [*DamagedError].
	//
	// ErrNotFound: the account has no such contact.
	FindContact(ctx context.Context, accountID, id uuid.UUID) (*ContactRecord, error)

	// ListContacts returns the contacts of an account that match every field of
	// the query, in descending order of id, at most Limit. A field with the zero
	// value matches everything, unless it says otherwise. IDs and MatchKeys that
	// are empty and not nil match nothing. Text is compared byte for byte. The
	// next page starts after the last id of this one, so concurrent writes never
	// make a listing skip or repeat a contact. An account that does not exist has
	// none.
	//
	// With Shared it returns groups in place of contacts, at most Limit. A group is
	// two or more contacts that match the query and have the same match key of that
	// kind. It has their Count, and the first MaxGroupRecords of them in ascending
	// order of id. After, Skip and Count of the query are not used. The order of the
	// groups is the store's own, and stable. The next page starts after the group at
	// Position, so writes to other contacts never make a walk skip or repeat a
	// group. A group that changes meanwhile is returned as it is then. Position is
	// "" if no group follows. A page of large groups may have fewer than Limit.
	//
	// ErrNotFound: the query has a Position that the store never returns.
	ListContacts(ctx context.Context, q ContactQuery) (ContactList, error)

	// ListJournal returns the entries of an account that match the query, in
	// ascending order of sequence, at most Limit, starting after After. With
	// Backwards it returns them in descending order, starting before After; 0 is
	// the end of the journal. Subjects that are empty and not nil match nothing.
	// An entry that has ended is returned as long as it is there. Every field
	// comes back as given, byte for byte. An account that does not exist has none.
	ListJournal(ctx context.Context, q JournalQuery) ([]JournalEntry, error)

	// Close finishes what was accepted and releases what the store holds. After
	// that every method returns ErrClosed. Close may be called twice; the second
	// call returns nil.
	Close() error
}

// MaxMutations is how many mutations a [Service] puts into one batch, unless it
// is all or nothing. Larger transactions gain little more.
const MaxMutations = 1000

// MaxHolders is how many holders of one claim an outcome of [Store.Apply] names at most.
const MaxHolders = 10

// ClockSkew is how far the clocks of the processes on one store may differ. A store
// removes what has ended when that much time has passed.
const ClockSkew = time.Hour

// MaxGroupRecords is how many records a [ContactGroup] has at most.
const MaxGroupRecords = 100

// A MutationBatch is what one call of Apply judges and stores. One contact is a
// batch of one.
type MutationBatch struct {
	Mutations    []Mutation
	Now          time.Time // UTC, whole microseconds
	AllOrNothing bool
	DryRun       bool // judge everything, store nothing
	Verbatim     bool // journal entries bring their own numbers: for a copy of another store
}

// A Mutation is the smallest step: all of it is stored, or nothing.
type Mutation struct {
	AccountID   uuid.UUID
	KeyID       uuid.UUID          // the API key that it is made with, for a [KeyJudge]; zero: it was checked before
	Settings    int64              // the settings version that the Service decided by
	Idempotency *IdempotencyRecord // nil: none
	Contacts    []ContactChange    // usually one
	Claims      []MatchKey         // no live contact outside this mutation may hold one of them
	Journal     []JournalEntry     // appended in this order
}

// A KeyJudge is a [Store] that judges the API key of a mutation with the mutation.
// A [Service] keeps what it knows of a key of such a store. CreateContact and
// CreateContactResult go by that, and Apply judges the key. This saves a look-up, and
// a round trip to a server. A store need not be one. A wrapper whose FindKey or Apply
// is not that of the store should embed [Store], and no KeyJudge: then every call
// asks for the key.
type KeyJudge interface {
	Store

	// JudgesKeys says that Apply judges Mutation.KeyID, before all but the account.
	// ErrStale: the account has no such key, the key is revoked, or the account is
	// disabled. The Service judges when a key expires.
	JudgesKeys()
}

// A ContactChange is a compare-and-swap of one contact.
type ContactChange struct {
	ID      uuid.UUID
	Version int64          // the stored contact must have it; 0: there must be no contact of that id
	Record  *ContactRecord // what is stored from then on; nil: the contact is removed
}

// An IdempotencyRecord makes a call that is sent again the same call. It is
// found under its Key within its account.
type IdempotencyRecord struct {
	Key    [32]byte  // SHA-256 of the key that the caller gave, or of what is erased
	Input  [32]byte  // SHA-256 of the input, to recognise a different one; zero: an erasure
	Result string    // what the Service needs to answer again: JSON, kept byte for byte
	EndsAt time.Time // UTC, whole microseconds; from then on the record counts as absent
}

// A MutationOutcome says what became of one mutation of a batch. The zero value:
// it was stored.
type MutationOutcome struct {
	Err     error
	Result  string   // of the earlier mutation with the same idempotency key; "": there was none
	Holders []Holder // with ErrDuplicate: the contacts that hold the claims; of a stored mutation: a deleted one
}

// A Holder is a contact that holds a claimed match key.
type Holder struct {
	Key       int // the index in Mutation.Claims
	ContactID uuid.UUID
	TeamID    int64
	Deleted   bool
}

// A JournalKind says what a journal entry is about.
type JournalKind int

// The kinds of journal entries.
const (
	JournalEvent     JournalKind = iota + 1 // a change of a contact
	JournalDoNotCall                        // a block or a grant of calls to a number
	JournalErasure                          // the receipt of an erasure, which is never replaced
)

// A JournalEntry is one row of the append-only journal of an account.
type JournalEntry struct {
	Sequence int64 // its number within the account; 0 in a mutation: the next one
	Kind     JournalKind
	Subject  [32]byte  // what the entry is about, such as a contact's id and 16 zero bytes
	At       time.Time // UTC, whole microseconds
	EndsAt   time.Time // for events: from then on the entry may be removed; zero: never
	Data     string    // JSON, kept byte for byte
}

// A JournalQuery asks for one page of the journal of an account.
type JournalQuery struct {
	AccountID uuid.UUID
	Kind      JournalKind // 0: entries of every kind
	Subjects  [][32]byte  // entries about one of them; nil: about anything; empty: none
	After     int64       // the page starts after this sequence; with Backwards before it, and 0 is the end
	Backwards bool
	Limit     int // at least 1
}

// A ContactQuery asks for one page of the contacts of an account. Each field that
// is set narrows it down.
type ContactQuery struct {
	AccountID uuid.UUID

	// A contact in a team matches if the team is one of Teams, or with AllTeams.
	// A contact without a team always matches.
	Teams    []int64
	AllTeams bool

	// Deleted asks for the deleted contacts in place of the live ones.
	Deleted       bool
	DeletedBefore time.Time // with Deleted: deleted before this time

	IDs       []uuid.UUID // its id is one of them; nil: any; empty: none
	MatchKeys []MatchKey  // one of its [ContactRecord.MatchKeys] is one of them; nil: any; empty: none

	Status, Stage, Email string // equal to the contact's
	Tag                  string // one of its tags
	PhoneNumber          string // one of its numbers
	ExternalID           string // equal to the contact's
	TeamID               int64  // its team
	Search               string // each of its words is a part of the contact's [ContactRecord.SearchText]

	UpdatedAfter time.Time // changed after this time: its UpdatedAt is later

	After uuid.UUID // the page starts after this contact
	Skip  int       // leave out this many matches
	Limit int       // at least 1

	// Count asks how many contacts match, regardless of After, Skip and Limit.
	Count bool

	// Shared asks for groups of contacts that have the same match key of this kind.
	// "": for contacts.
	Shared   KeyKind
	Position string // with Shared, the Position of the page before; "": the first page
}

// A ContactList is one page of contacts.
type ContactList struct {
	Records []*ContactRecord
	Count   int // 0 where the query did not ask

	// Damaged are those of the records that could not be read whole. Such a
	// record has all that could be read, with its id and its version.
	Damaged []*DamagedError

	Groups   []ContactGroup // with Shared
	Position string         // with Shared, where the next page starts; "": there is none
}

// A ContactGroup is the contacts that have one match key.
type ContactGroup struct {
	Key     MatchKey
	Records []*ContactRecord // in ascending order of id, at most MaxGroupRecords
	Count   int              // of all of them
}

// A ContactRecord is a contact as a store keeps it.
type ContactRecord struct {
	// Contact without its contexts, which are nil.
	Contact Contact
	// The contexts as JSON text; "" for one that is absent.
	CustomContext   string
	IndustryContext string
}

// clone returns a copy that shares nothing with the record.
func (r *ContactRecord) clone() *ContactRecord {
	clone := *r
	clone.Contact.Tags, clone.Contact.PhoneNumbers = slices.Clone(r.Contact.Tags), slices.Clone(r.Contact.PhoneNumbers)
	return &clone
}
