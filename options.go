package contacts

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Options are the options of a [Service]. The zero value, and nil, is the
// documented behaviour.
type Options struct {
	// Authenticator turns a key into a [Principal]. nil: the API keys of the
	// store, as [Admin.IssueKey] issues them.
	Authenticator Authenticator

	// CreatePermission is what a key needs to create contacts, and with
	// WritePermission to upsert. "": PermissionReadContacts, as documented.
	CreatePermission Permission

	// ReadPermission is what a key needs to get and list contacts, to find
	// duplicates, and to ask whether a number may be called.
	// "": PermissionReadContacts, as documented.
	ReadPermission Permission

	// WritePermission is what a key needs to change, delete, restore and upsert a
	// contact, and to block one number. "": PermissionWriteContacts.
	WritePermission Permission

	// EventsPermission is what a key needs to read events and the history of a
	// contact, and with ReadPermission a contact as it was. "": PermissionReadEvents.
	EventsPermission Permission

	// DoNotCallPermission is what a key needs to give grants, to record lists of
	// numbers that must not be called, and to list the ledger.
	// "": PermissionManageDoNotCall.
	DoNotCallPermission Permission

	// DoNotCallSecrets are the secrets by which the do-not-call ledger finds a
	// number, each of 32 bytes or more. The first makes new entries, and all are
	// tried in a look-up. Keep every secret that made an entry: entries whose
	// number was erased are found by it alone. Add a new secret as the last one in
	// every process first, and then move it to the front: a process without a secret
	// that has made an entry fails. nil: the library makes a secret for each account
	// and stores it there. That one protects exports, logs and dumps for support. It
	// does not protect a stolen database.
	DoNotCallSecrets [][]byte

	// Permissions are the host's own permissions, which the options above may
	// name too. Declare the same in AdminOptions.Permissions. nil: none.
	Permissions []Permission

	// IdempotencyRetention is how long an idempotency key is kept after the
	// create or upsert that used it first. 0: 24 hours.
	IdempotencyRetention time.Duration

	// Limits on the size of what comes in. A zero field: its documented limit.
	Limits Limits

	// DefaultRegion is the region whose national phone numbers are accepted
	// too, as two upper-case letters of ISO 3166 ("US"). "": numbers must be
	// E.164.
	DefaultRegion string

	// ValidNumbersOnly refuses phone numbers that are not in an assigned range.
	// False: a possible length is enough. The documented example needs that.
	ValidNumbersOnly bool

	// AllowUnknownFields makes the methods that read JSON skip unknown fields.
	// False: they are refused, because a misspelt name would lose data.
	AllowUnknownFields bool

	// Statuses, Stages and PhoneTypes close the vocabularies: other values are
	// refused. Letter case counts. The default status and stage are always
	// allowed, and so is no phone type. nil: open, as documented. New refuses an
	// empty list.
	Statuses, Stages, PhoneTypes []string

	// Logger gets one line for each server error, with its cause. nil: nothing
	// is logged.
	Logger *slog.Logger

	// Observer sees each call begin and end. A call waits for it: an Observer that
	// blocks, blocks the call. nil: nothing is measured, which costs nothing.
	Observer Observer

	// Now is the clock. Where it is not in the years 1 to 9999, nothing is
	// stored: the call is CodeServerError. Where it goes back, a change still
	// gets no time before those that the contact has. nil: time.Now.
	Now func() time.Time

	// NewID returns the id of the next contact, phone number or batch of events:
	// another one each time, and never the zero id. Lists are in the order of the
	// ids, so make them ascend. It may be called from many goroutines at once. nil:
	// UUIDv7s of the time of Now, which ascend within the Service even where
	// the clock stands still or goes back.
	NewID func() uuid.UUID
}

// Limits bound what a contact may hold. They count characters after
// normalisation, unless a field says otherwise. The zero value of a field is its
// default. A limit is at most 16,777,216, and ContextDepth at most 63.
type Limits struct {
	Name         int // first name; 100
	LastName     int // 200
	Company      int // 200
	Email        int // bytes; 254
	Website      int // bytes; 2,048
	Address      int // 500
	City         int // 100
	State        int // 100
	ZipCode      int // 20
	Country      int // 64
	Status       int // 64
	Stage        int // 64
	ExternalID   int // 255
	Tags         int // tags in a contact; 100
	Tag          int // one tag; 100
	PhoneNumbers int // phone numbers in a contact; 50
	PhoneType    int // 32
	ContextBytes int // each context as compact JSON, in bytes; 65,536
	ContextDepth int // objects and arrays inside each other, the context included; 32
	BodyBytes    int // the JSON body as received, or one contact of a batch, in bytes; 1,048,576
	Search       int // the text of a search; 200
	Batch        int // contacts in a batch; 10,000
	BatchBytes   int // the JSON body of a batch as received, in bytes; 16,777,216
	DryRunKeys   int // keys that the dry run of a stream remembers, of at most 48 bytes each; 16,000,000
}

// bodyDepth is how deep a JSON body may nest. It needs no option, because the
// contexts have a limit of their own.
const bodyDepth = 64

// maxLimit is what a limit may be at most.
const maxLimit = 1 << 24

// withDefaults fills in the documented limits.
func (l Limits) withDefaults() (Limits, error) {
	for _, f := range []struct {
		name  string
		value *int
		def   int
	}{
		{"Name", &l.Name, 100},
		{"LastName", &l.LastName, 200},
		{"Company", &l.Company, 200},
		{"Email", &l.Email, 254},
		{"Website", &l.Website, 2048},
		{"Address", &l.Address, 500},
		{"City", &l.City, 100},
		{"State", &l.State, 100},
		{"ZipCode", &l.ZipCode, 20},
		{"Country", &l.Country, 64},
		{"Status", &l.Status, 64},
		{"Stage", &l.Stage, 64},
		{"ExternalID", &l.ExternalID, 255},
		{"Tags", &l.Tags, 100},
		{"Tag", &l.Tag, 100},
		{"PhoneNumbers", &l.PhoneNumbers, 50},
		{"PhoneType", &l.PhoneType, 32},
		{"ContextBytes", &l.ContextBytes, 64 << 10},
		{"ContextDepth", &l.ContextDepth, 32},
		{"BodyBytes", &l.BodyBytes, 1 << 20},
		{"Search", &l.Search, 200},
		{"Batch", &l.Batch, 10_000},
		{"BatchBytes", &l.BatchBytes, 16 << 20},
		{"DryRunKeys", &l.DryRunKeys, 16_000_000},
	} {
		switch {
		case *f.value < 0 || *f.value > maxLimit:
			return l, fmt.Errorf("contacts: Options.Limits.%s is %d; give a number up to %d, or 0 for the documented %d", f.name, *f.value, maxLimit, f.def)
		case *f.value == 0:
			*f.value = f.def
		}
	}
	if l.ContextDepth >= bodyDepth {
		return l, fmt.Errorf("contacts: Options.Limits.ContextDepth is %d; a JSON body nests at most %d deep and holds the context one level down, so give at most %d", l.ContextDepth, bodyDepth, bodyDepth-1)
	}
	return l, nil
}

// check rejects invalid options with errors that say how to fix them.
func (o *Options) check(limits Limits) error {
	if r := o.DefaultRegion; r != "" && !isRegion(r) {
		return fmt.Errorf("contacts: Options.DefaultRegion is %q; give two upper-case letters of ISO 3166 such as %q, or \"\" to take E.164 numbers only", r, "US")
	}
	for _, p := range []struct {
		name       string
		permission Permission
	}{
		{"CreatePermission", o.CreatePermission}, {"ReadPermission", o.ReadPermission},
		{"WritePermission", o.WritePermission}, {"EventsPermission", o.EventsPermission},
		{"DoNotCallPermission", o.DoNotCallPermission},
	} {
		if p.permission == "" {
			continue
		}
		if why := checkPermission(p.permission, o.Permissions); why != "" {
			return fmt.Errorf("contacts: Options.%s is %q, which %s", p.name, p.permission, why)
		}
	}
	if i, why, found := shortLedgerSecret(o.DoNotCallSecrets); found {
		return fmt.Errorf("contacts: Options.DoNotCallSecrets[%d] %s", i, why)
	}
	if o.IdempotencyRetention < 0 {
		return fmt.Errorf("contacts: Options.IdempotencyRetention is %s; give how long an idempotency key is kept, or 0 for %s", o.IdempotencyRetention, defaultRetention)
	}
	for _, v := range []struct {
		name  string
		words []string
		limit int
	}{{"Statuses", o.Statuses, limits.Status}, {"Stages", o.Stages, limits.Stage}, {"PhoneTypes", o.PhoneTypes, limits.PhoneType}} {
		if v.words != nil && len(v.words) == 0 {
			return fmt.Errorf("contacts: Options.%s is empty but not nil, which would refuse every value; give the allowed values, or nil for an open vocabulary", v.name)
		}
		for _, w := range v.words {
			var bad problems
			if normal := termText(w, v.name, v.limit, &bad); w == "" || normal != w {
				return fmt.Errorf("contacts: Options.%s holds %q, which no contact can have: give words that are not empty, trimmed, in Unicode's NFC, without invisible characters, and at most %d characters long", v.name, w, v.limit)
			}
		}
	}
	return nil
}

var errNilStore = errors.New("contacts: the store is nil; open one first, such as memory.New() or sqlite.Open(ctx, path, nil)")
