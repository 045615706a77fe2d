package contacts

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// A DoNotCallType says what an entry of the do-not-call ledger is.
type DoNotCallType string

// The types of entries.
const (
	DoNotCallBlock DoNotCallType = "block" // calls to the number are forbidden
	DoNotCallGrant DoNotCallType = "grant" // they are allowed again

	// doNotCallOrigin is the companion of a block that came from a contact. Its
	// subject is the contact's, and its data holds that of the number. An erasure
	// finds by it the numbers that a contact has had.
	doNotCallOrigin DoNotCallType = "origin"
)

// A DoNotCallEntry is one entry of the do-not-call ledger of an account. Entries
// are never changed and never removed; an erasure alone takes the number and what
// is said about the person out of them.
type DoNotCallEntry struct {
	Sequence    int64         `json:"sequence"` // its number in the account's journal
	Type        DoNotCallType `json:"type"`
	PhoneNumber string        `json:"phone_number,omitempty"` // E.164; "": erased
	At          time.Time     `json:"at"`                     // when the person said so; UTC, whole microseconds
	RecordedAt  time.Time     `json:"recorded_at"`            // UTC, whole microseconds
	ExpiresAt   time.Time     `json:"expires_at,omitzero"`    // from then on it says nothing; zero: never
	Source      string        `json:"source"`                 // "api", "contact", "erasure", or the caller's own
	Reason      string        `json:"reason,omitempty"`
	Reference   string        `json:"reference,omitempty"` // the call, form or list that proves it
	Actor       Actor         `json:"actor"`
	ContactID   uuid.UUID     `json:"contact_id,omitzero"` // the contact that it came from; zero: none, or hidden
}

// A ledgerEntry is an entry with what the ledger itself needs.
type ledgerEntry struct {
	DoNotCallEntry
	subject [32]byte // of its number
	secret  string   // the fingerprint of the secret that made the subject
	erased  bool     // an erasure has removed the number
}

// A ledgerOrigin is the companion of a block that came from a contact.
type ledgerOrigin struct {
	sequence  int64
	contactID uuid.UUID
	subject   [32]byte // of the number; zero: erased
	erased    bool
}

// ledgerData is the Data of a journal entry of the kind JournalDoNotCall. Stored
// data is of this form for good: change Version with it.
type ledgerData struct {
	Version     int           `json:"v"`
	Type        DoNotCallType `json:"type"`
	Erased      bool          `json:"erased,omitempty"`
	PhoneNumber string        `json:"phone_number,omitempty"`
	Secret      string        `json:"secret,omitempty"`
	At          time.Time     `json:"at,omitzero"`
	ExpiresAt   time.Time     `json:"expires_at,omitzero"`
	Source      string        `json:"source,omitempty"`
	Reason      string        `json:"reason,omitempty"`
	Reference   string        `json:"reference,omitempty"`
	Actor       *Actor        `json:"actor,omitempty"`
	ContactID   uuid.UUID     `json:"contact_id,omitzero"`
	Subject     string        `json:"subject,omitempty"` // of an origin: the number's, in hexadecimal
}

const ledgerVersion = 1

// journal returns the entry as the journal keeps it. Its sequence is kept: with
// one, it replaces the data of the stored entry.
func (e *ledgerEntry) journal() (JournalEntry, error) {
	data := ledgerData{
		Version: ledgerVersion, Type: e.Type, Erased: e.erased, PhoneNumber: e.PhoneNumber, Secret: e.secret, At: e.At, ExpiresAt: e.ExpiresAt,
		Source: e.Source, Reason: e.Reason, Reference: e.Reference, Actor: &e.Actor, ContactID: e.ContactID,
	}
	return data.entry(JournalEntry{Sequence: e.Sequence, Subject: e.subject, At: e.RecordedAt})
}

// journal returns the companion as the journal keeps it.
func (o *ledgerOrigin) journal(recordedAt time.Time) (JournalEntry, error) {
	data := ledgerData{Version: ledgerVersion, Type: doNotCallOrigin, Erased: o.erased}
	if !o.erased {
		data.Subject = hex.EncodeToString(o.subject[:])
	}
	return data.entry(JournalEntry{Sequence: o.sequence, Subject: contactSubject(o.contactID), At: recordedAt})
}

func (d *ledgerData) entry(e JournalEntry) (JournalEntry, error) {
	text, err := json.Marshal(d)
	e.Kind, e.Data = JournalDoNotCall, string(text)
	return e, err
}

// contactSubject returns the subject of what the journal holds about a contact:
// its id and 16 zero bytes.
func contactSubject(id uuid.UUID) (subject [32]byte) {
	copy(subject[:], id[:])
	return subject
}

// readLedger returns the blocks and grants among journal entries, and the
// companions. An entry that cannot be read is an error: nothing may pass for
// "not listed" because it is damaged. The error has no text of the entry.
func readLedger(journal []JournalEntry) (entries []ledgerEntry, origins []ledgerOrigin, err error) {
	for i := range journal {
		j := &journal[i]
		if j.Kind != JournalDoNotCall {
			continue
		}
		var d ledgerData
		if why := d.read(j.Data); why != "" {
			return nil, nil, fmt.Errorf("the do-not-call entry %d %s", j.Sequence, why)
		}
		if d.Type == doNotCallOrigin {
			o := ledgerOrigin{sequence: j.Sequence, contactID: uuid.UUID(j.Subject[:16]), erased: d.Erased}
			hex.Decode(o.subject[:], []byte(d.Subject)) //nolint:errcheck // read has checked it
			origins = append(origins, o)
			continue
		}
		entries = append(entries, ledgerEntry{
			DoNotCallEntry: DoNotCallEntry{
				Sequence: j.Sequence, Type: d.Type, PhoneNumber: d.PhoneNumber, At: d.At, RecordedAt: j.At, ExpiresAt: d.ExpiresAt,
				Source: d.Source, Reason: d.Reason, Reference: d.Reference, Actor: *d.Actor, ContactID: d.ContactID,
			},
			subject: j.Subject, secret: d.Secret, erased: d.Erased,
		})
	}
	return entries, origins, nil
}

// event returns the entry as an event of the account.
func (e *ledgerEntry) event(account uuid.UUID) Event {
	event := Event{
		AccountID: account,
		Sequence:  e.Sequence,
		Type:      EventDoNotCallBlocked,
		At:        e.RecordedAt,
		ContactID: e.ContactID,
		Actor:     e.Actor,
		Redacted:  e.erased,
		DoNotCall: &e.DoNotCallEntry,
	}
	if e.Type == DoNotCallGrant {
		event.Type = EventDoNotCallGranted
	}
	return event
}

// read reads the data of an entry, and says what is wrong with it.
func (d *ledgerData) read(text string) (why string) {
	if err := json.Unmarshal([]byte(text), d); err != nil {
		return "cannot be read" // the error could have a part of the text
	}
	if d.Version != ledgerVersion {
		return fmt.Sprintf("has the version %d, which this program does not know", d.Version)
	}
	switch d.Type {
	case DoNotCallBlock, DoNotCallGrant:
		switch {
		case (d.PhoneNumber == "") != d.Erased:
			return "has no phone number, and was not erased"
		case d.At.IsZero() || !inCalendar(d.At) || !inCalendar(d.ExpiresAt):
			return "has no time"
		case d.Secret == "" || d.Source == "" || d.Actor == nil:
			return "is not whole"
		}
		d.At, d.ExpiresAt = d.At.UTC(), d.ExpiresAt.UTC()
	case doNotCallOrigin:
		subject, err := hex.DecodeString(d.Subject)
		if err != nil || (len(subject) != 0) == d.Erased || len(subject) != 0 && len(subject) != len(ledgerOrigin{}.subject) {
			return "does not name a number"
		}
	default:
		return "has a type that this program does not know"
	}
	return ""
}

// expired reports whether the entry says nothing any more.
func (e *ledgerEntry) expired(now time.Time) bool {
	return !e.ExpiresAt.IsZero() && !now.Before(e.ExpiresAt)
}

// A formEntries is what the ledger holds about a number, or about an equivalent
// form of it.
type formEntries struct {
	form    string // the name of the form; "": the number itself
	entries []ledgerEntry
}

// sort brings the entries into the order in which they are judged: by the time
// when the person said so. At the same time a block comes after a grant, and what is
// not stored yet, and so has no number, after what is.
func (f *formEntries) sort() {
	slices.SortStableFunc(f.entries, func(a, b ledgerEntry) int { return a.compare(&b) })
}

func (e *ledgerEntry) compare(other *ledgerEntry) int {
	return cmp.Or(e.At.Compare(other.At), e.Type.rank()-other.Type.rank(), cmp.Compare(uint64(e.Sequence)-1, uint64(other.Sequence)-1))
}

func (t DoNotCallType) rank() int {
	if t == DoNotCallGrant {
		return 0
	}
	return 1
}

// active returns the blocks that forbid a call at some time: those that have not
// expired, and come after the last grant that has not expired. The entries are
// sorted.
func (f *formEntries) active(at time.Time) (blocks []*ledgerEntry) {
	after := f.afterGrants(at)
	for i := len(f.entries) - 1; i >= after; i-- {
		if e := &f.entries[i]; !e.expired(at) {
			blocks = append(blocks, e)
		}
	}
	return blocks
}

// afterGrants returns the place after the last grant that has not expired. The entries
// are sorted.
func (f *formEntries) afterGrants(at time.Time) int {
	for i := range slices.Backward(f.entries) {
		if e := &f.entries[i]; e.Type == DoNotCallGrant && !e.expired(at) {
			return i + 1
		}
	}
	return 0
}

// A ledgerState is the verdict about a number.
type ledgerState struct {
	listed    bool
	date      time.Time // of the latest active block
	reason    string    // of the same
	until     time.Time // no block is active then, if nothing is added; zero: there is no such time
	form      string    // the form that is listed, where the number itself is not
	sequence  int64     // of the newest entry
	erased    int       // how many entries are
	changesAt time.Time // when the next entry expires; zero: none does
}

// doNotCallState judges a number by the entries on it and on its equivalent forms.
// It sorts them.
func doNotCallState(forms []formEntries, now time.Time) (s ledgerState) {
	var latest *ledgerEntry
	itself := false
	for i := range forms {
		f := &forms[i]
		f.sort()
		for j := range f.entries {
			e := &f.entries[j]
			s.sequence = max(s.sequence, e.Sequence)
			if e.erased {
				s.erased++
			}
			if !e.ExpiresAt.IsZero() && !e.expired(now) && (s.changesAt.IsZero() || e.ExpiresAt.Before(s.changesAt)) {
				s.changesAt = e.ExpiresAt
			}
		}
		blocks := f.active(now)
		if len(blocks) == 0 {
			continue
		}
		if b := blocks[0]; latest == nil || b.At.After(latest.At) {
			latest = b
		}
		itself = itself || f.form == ""
		s.form = cmp.Or(s.form, f.form)
	}
	if latest == nil {
		return s
	}
	s.listed, s.date, s.reason = true, latest.At, latest.Reason
	s.until = openFrom(forms, now)
	if itself {
		s.form = ""
	}
	return s
}

// openFrom returns the first time at which no block is active, if nothing is added;
// the zero time if there is no such time. When the last of the blocks ends, one may
// hold again that a grant has covered until then. A grant that ends later is not
// looked at.
func openFrom(forms []formEntries, now time.Time) time.Time {
	for at := now; ; {
		var last time.Time
		for i := range forms {
			for _, b := range forms[i].active(at) {
				if b.ExpiresAt.IsZero() {
					return time.Time{}
				}
				if b.ExpiresAt.After(last) {
					last = b.ExpiresAt
				}
			}
		}
		if last.IsZero() {
			return at
		}
		at = last
	}
}

// A ledger is the do-not-call ledger of one account.
type ledger struct {
	store   Store
	account uuid.UUID
	secrets []ledgerSecret // new entries are made with the first; all are tried in a look-up

	made map[string]ledgerEntry // by their data: entries that need not be read, for the call has made them
}

// maxSubjects is how many subjects a query of the journal has at most, and how
// many entries a mutation.
const maxSubjects = 10_000

// find returns the blocks and grants on each of the numbers, by number. Numbers
// without entries are not in it. Equivalent forms are numbers of their own here.
func (l *ledger) find(ctx context.Context, numbers []string) (map[string][]ledgerEntry, error) {
	of := make(map[[32]byte]string, len(numbers)*len(l.secrets))
	for _, n := range numbers {
		for i := range l.secrets {
			of[l.secrets[i].subject(l.account, n)] = n
		}
	}
	bySubject, err := l.findSubjects(ctx, slices.Collect(maps.Keys(of)))
	if err != nil {
		return nil, err
	}
	found := make(map[string][]ledgerEntry, len(bySubject))
	for subject, entries := range bySubject {
		number := of[subject]
		found[number] = append(found[number], entries...)
	}
	return found, nil
}

// findSubjects returns the blocks and grants with each of the subjects, by subject.
func (l *ledger) findSubjects(ctx context.Context, subjects [][32]byte) (map[[32]byte][]ledgerEntry, error) {
	slices.SortFunc(subjects, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	subjects = slices.Compact(subjects)
	found := make(map[[32]byte][]ledgerEntry)
	for part := range slices.Chunk(subjects, maxSubjects) {
		journal, err := l.journal(ctx, part)
		if err != nil {
			return nil, err
		}
		journal = slices.DeleteFunc(journal, func(j JournalEntry) bool {
			e, made := l.made[j.Data]
			if made {
				e.Sequence, e.RecordedAt = j.Sequence, j.At
				found[j.Subject] = append(found[j.Subject], e)
			}
			return made
		})
		entries, _, err := readLedger(journal)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			found[e.subject] = append(found[e.subject], e)
		}
	}
	return found, nil
}

// journal returns all journal entries of the ledger about the subjects, which
// ascend and are at most maxSubjects.
func (l *ledger) journal(ctx context.Context, subjects [][32]byte) (all []JournalEntry, err error) {
	q := JournalQuery{AccountID: l.account, Kind: JournalDoNotCall, Subjects: subjects, Limit: maxSubjects}
	for {
		page, err := l.store.ListJournal(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < q.Limit {
			return all, nil
		}
		q.After = page[len(page)-1].Sequence
	}
}
