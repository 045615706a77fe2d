package contacts

import (
	"time"

	"github.com/google/uuid"
)

// What the tests need of the inside.

// NormalisePhone is phoneRules.normalise.
func NormalisePhone(s, region string, validOnly bool) (e164, why string) {
	return phoneRules{region: region, validOnly: validOnly}.normalise(s)
}

// IsPossibleE164 is the fast path of NormalisePhone.
func IsPossibleE164(s string) bool { return isPossibleE164(s) }

// HashKey is hashKey.
func HashKey(key string) ([32]byte, bool) { return hashKey(key) }

// NewKey is newKey.
func NewKey(prefix string) string { return newKey(prefix) }

// IsPlainWebsite is the fast path of WhyNoWebsite.
func IsPlainWebsite(s string) bool { return isPlainWebsite(s) }

// WhyNoWebsite is whyNoWebsite for a URL that was given with its scheme.
func WhyNoWebsite(s string) string { return whyNoWebsite(s, false) }

// MaxProblems is how many details an error has at most.
const MaxProblems = maxProblems

// DigestOf is Erasure.digest.
func DigestOf(e *Erasure) string {
	digest, err := e.digest()
	if err != nil {
		panic(err)
	}
	return digest
}

// The form of cursors.
var (
	EncodeCursor = encodeCursor
	DecodeCursor = decodeCursor
)

// RedactEvent is redactEvent.
func RedactEvent(data string) (string, error) { return redactEvent(data) }

// NormaliseListed is phoneRules.listed.
func NormaliseListed(s, region string) (e164, why string) {
	return phoneRules{region: region, validOnly: true}.listed(s)
}

// ReadLedger returns the blocks and grants among journal entries.
func ReadLedger(journal []JournalEntry) ([]DoNotCallEntry, error) {
	entries, _, err := readLedger(journal)
	var shown []DoNotCallEntry
	for i := range entries {
		shown = append(shown, entries[i].DoNotCallEntry)
	}
	return shown, err
}

// LedgerJournal returns an entry as the journal keeps it; erased says so.
func LedgerJournal(e DoNotCallEntry, secret string, erased bool) (JournalEntry, error) {
	l := ledgerEntry{DoNotCallEntry: e, secret: secret, erased: erased}
	return l.journal()
}

// ReadOrigins returns the contacts and the subjects of the companions among journal
// entries.
func ReadOrigins(journal []JournalEntry) (contacts []uuid.UUID, subjects [][32]byte, err error) {
	_, origins, err := readLedger(journal)
	for _, o := range origins {
		contacts, subjects = append(contacts, o.contactID), append(subjects, o.subject)
	}
	return contacts, subjects, err
}

// LedgerOrigin returns a companion as the journal keeps it.
func LedgerOrigin(contactID uuid.UUID, subject [32]byte, erased bool) (JournalEntry, error) {
	return (&ledgerOrigin{contactID: contactID, subject: subject, erased: erased}).journal(time.Time{})
}

// A Verdict is what doNotCallState says.
type Verdict struct {
	Listed           bool
	Date             time.Time
	Reason           string
	Until, ChangesAt time.Time
	Form             string
	Sequence         int64
}

// JudgeDoNotCall is doNotCallState for a number and one equivalent form.
func JudgeDoNotCall(itself, form []DoNotCallEntry, now time.Time) Verdict {
	var forms []formEntries
	for name, list := range map[string][]DoNotCallEntry{"": itself, "form": form} {
		f := formEntries{form: name}
		for _, e := range list {
			f.entries = append(f.entries, ledgerEntry{DoNotCallEntry: e})
		}
		forms = append(forms, f)
	}
	s := doNotCallState(forms, now)
	return Verdict{s.listed, s.date, s.reason, s.until, s.changesAt, s.form, s.sequence}
}
