package contacts

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// An ErasureProbe holds what must no longer be in an account: the values that a
// person had. At least one must be given.
type ErasureProbe struct {
	Emails       []string // compared in the form of [MatchEmail]
	PhoneNumbers []string // with + and the country code; their [PhoneForms] are found too
	ExternalIDs  []string // compared without blanks around them

	// Texts are found inside other text too, such as a name in a reason. They are
	// compared in the form of [FoldSearch]. A short one is found where nobody meant
	// it.
	Texts []string
}

// An ErasureFinding is one place where a value of an [ErasureProbe] still is.
type ErasureFinding struct {
	Value     string    `json:"value"`               // as the probe has it
	ContactID uuid.UUID `json:"contact_id,omitzero"` // the contact that has it, or that the entry is about; zero: none
	Sequence  int64     `json:"sequence,omitempty"`  // of the entry of the journal; 0: the value is in the contact itself

	// Field is the documented name of the contact's field, or the member of the
	// entry's data.
	Field string `json:"field"`
}

// maxFindings bounds the answer of VerifyErasure, and with it the memory.
const maxFindings = 1000

// VerifyErasure looks whether values still occur in an account: in its contacts,
// deleted ones too, in its events, in its do-not-call ledger, and in the reasons of
// its erasures. It returns the places, at most 1,000, and nil if there are none.
//
// It reads the whole journal of the account, and with Texts every contact. What is
// stored or restored while it reads may be missed. It says nothing of the disk.
//
// A contact that cannot be read whole may hold a value all the same. It is a
// CodeServerError that names the contact, with the places that were found elsewhere.
//
// Its errors: CodeValidationError for a probe with no value or with one that no
// contact can have, such as an empty one, or for a secret of AdminOptions that is too
// short; CodeNotFound for an unknown account; CodeServerError, also where
// AdminOptions.DoNotCallSecrets lacks a secret of the account's ledger.
func (a *Admin) VerifyErasure(ctx context.Context, accountID uuid.UUID, probe ErasureProbe) ([]ErasureFinding, error) {
	if a.ledgerErr != nil {
		return nil, a.ledgerErr
	}
	s, err := newEraseSearch(&probe)
	if err != nil {
		return nil, err
	}
	account, err := a.account(ctx, accountID)
	if err != nil {
		return nil, err
	}
	ledger, err := a.ledgers.open(account)
	if err != nil {
		return nil, newServerError(err)
	}
	s.addSubjects(ledger)
	for _, look := range []func(context.Context, *Admin, uuid.UUID) error{s.lookUp, s.walkContacts, s.walkJournal} {
		err := look(ctx, a, accountID)
		if errors.Is(err, errEnough) {
			break
		}
		if err != nil {
			return nil, newServerError(err)
		}
	}
	if s.damaged != nil {
		return s.findings, newServerError(s.damaged)
	}
	return s.findings, nil
}

// An eraseSearch is one search of VerifyErasure.
type eraseSearch struct {
	keys     []MatchKey          // for the look-ups
	values   map[MatchKey]string // as the probe has them
	exact    map[string]string   // whole strings of the journal, and the values that they mean
	emails   map[string]string   // the same for addresses, in the form of MatchEmail
	texts    []eraseText
	findings []ErasureFinding
	damaged  error // a contact that cannot be read whole; nil: none was met
}

// An eraseText is a text that is looked for inside other text.
type eraseText struct{ value, folded string }

// newEraseSearch refuses a probe without values, or with one that could not be found.
func newEraseSearch(p *ErasureProbe) (*eraseSearch, error) {
	s := &eraseSearch{values: make(map[MatchKey]string), exact: make(map[string]string), emails: make(map[string]string)}
	var bad problems
	for _, list := range []struct {
		kind   KeyKind
		field  string
		values []string
	}{{KeyEmail, "emails", p.Emails}, {KeyPhoneNumber, "phone_numbers", p.PhoneNumbers}, {KeyExternalID, "external_ids", p.ExternalIDs}} {
		for i, v := range list.values {
			s.add(keyOf(list.kind, v, element(list.field, i), &bad), v)
		}
	}
	for i, v := range p.Texts {
		folded := FoldSearch(v)
		if folded == "" {
			bad.add(element("texts", i), FieldRequired, "must not be empty")
		}
		s.texts = append(s.texts, eraseText{v, folded})
	}
	if len(s.keys)+len(s.texts) == 0 {
		bad.add("texts", FieldRequired, "is required, where nothing else is given")
	}
	return s, bad.err()
}

// add adds a match key of the probe. A number comes with its equivalent forms.
func (s *eraseSearch) add(k MatchKey, value string) {
	keys := []MatchKey{k}
	if k.Kind == KeyPhoneNumber {
		for _, form := range PhoneForms(k.Value)[1:] {
			keys = append(keys, MatchKey{k.Kind, form.Number})
		}
	}
	for _, k := range keys {
		if _, twice := s.values[k]; twice {
			continue
		}
		s.keys = append(s.keys, k)
		s.values[k] = value
		if k.Kind == KeyEmail {
			s.emails[k.Value] = value
		} else {
			s.exact[k.Value] = value
		}
	}
}

// errEnough ends a walk. It reaches no caller.
var errEnough = errors.New("there are enough findings")

func (s *eraseSearch) found(f ErasureFinding) error {
	if !slices.Contains(s.findings, f) {
		s.findings = append(s.findings, f)
	}
	if len(s.findings) >= maxFindings {
		return errEnough
	}
	return nil
}

// lookUp asks the look-ups for the keys.
func (s *eraseSearch) lookUp(ctx context.Context, a *Admin, accountID uuid.UUID) error {
	const maxKeys = 100
	for part := range slices.Chunk(s.keys, maxKeys) {
		for r, err := range a.records(ctx, ContactQuery{AccountID: accountID, MatchKeys: part}, &s.damaged) {
			if err != nil {
				return err
			}
			for _, k := range r.MatchKeys() {
				value, asked := s.values[k]
				if !asked {
					continue
				}
				field := string(k.Kind)
				if k.Kind == KeyPhoneNumber {
					field = "phone_numbers"
				}
				if err := s.found(ErasureFinding{Value: value, ContactID: r.Contact.ID, Field: field}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// walkContacts looks for the texts in every contact. Nearly all contacts have none,
// so it looks through the fields of one at once, and only then at each of them.
func (s *eraseSearch) walkContacts(ctx context.Context, a *Admin, accountID uuid.UUID) error {
	if len(s.texts) == 0 {
		return nil
	}
	var all []byte
	for r, err := range a.records(ctx, ContactQuery{AccountID: accountID}, &s.damaged) {
		if err != nil {
			return err
		}
		all = all[:0]
		for _, text := range r.texts {
			all = append(append(all, text...), 0) // which is in no stored text
		}
		if len(s.in(string(all))) == 0 {
			continue
		}
		for field, text := range r.texts {
			if err := s.foundIn(text, ErasureFinding{ContactID: r.Contact.ID, Field: field}); err != nil {
				return err
			}
		}
	}
	return nil
}

// texts yields every text of the contact, with the name of its field.
func (r *ContactRecord) texts(yield func(field, text string) bool) {
	c := &r.Contact
	for i, text := range c.texts() {
		if !yield(textFields[i].name, *text) {
			return
		}
	}
	for _, tag := range c.Tags {
		if !yield("tags", tag) {
			return
		}
	}
	for _, p := range c.PhoneNumbers {
		if !yield("phone_numbers", p.PhoneNumber) || !yield("phone_numbers", p.PhoneType) {
			return
		}
	}
	for t := range jsonTexts(r.CustomContext) {
		if !yield("custom_context", t.text) {
			return
		}
	}
	for t := range jsonTexts(r.IndustryContext) {
		if !yield("industry_context", t.text) {
			return
		}
	}
}

// records yields the contacts that a query finds, live ones and then deleted ones.
// With match keys, live ones come once more: one that was restored in between is in
// neither list. An error ends it. Where a contact cannot be read whole, it comes as it
// can be read, and damaged says so; nil: that does not matter.
func (a *Admin) records(ctx context.Context, q ContactQuery, damaged *error) iter.Seq2[*ContactRecord, error] {
	const pageSize = 500
	q.AllTeams, q.Limit = true, pageSize
	return func(yield func(*ContactRecord, error) bool) {
		passes := []bool{false, true}
		if len(q.MatchKeys) > 0 {
			passes = append(passes, false)
		}
		for _, deleted := range passes {
			q := q
			q.Deleted = deleted
			for {
				list, err := a.store.ListContacts(ctx, q)
				if err != nil {
					yield(nil, err)
					return
				}
				if damaged != nil && len(list.Damaged) > 0 {
					*damaged = list.Damaged[0]
				}
				for _, r := range list.Records {
					if !yield(r, nil) {
						return
					}
				}
				if len(list.Records) < pageSize {
					break
				}
				q.After = list.Records[len(list.Records)-1].Contact.ID
			}
		}
	}
}

// in returns the texts that are in another one.
func (s *eraseSearch) in(text string) (found []eraseText) {
	if len(s.texts) == 0 || text == "" {
		return nil
	}
	text = FoldSearch(text)
	for _, t := range s.texts {
		if strings.Contains(text, t.folded) {
			found = append(found, t)
		}
	}
	return found
}

// foundIn notes the texts that are in another one, at a place.
func (s *eraseSearch) foundIn(text string, at ErasureFinding) error {
	for _, t := range s.in(text) {
		at.Value = t.value
		if err := s.found(at); err != nil {
			return err
		}
	}
	return nil
}

// walkJournal looks for all values in every entry of the journal.
func (s *eraseSearch) walkJournal(ctx context.Context, a *Admin, accountID uuid.UUID) error {
	for entry, err := range a.journal(ctx, JournalQuery{AccountID: accountID}) {
		if err != nil {
			return err
		}
		if !s.mayBeIn(entry.Data) {
			continue
		}
		if err := s.searchEntry(&entry); err != nil {
			return err
		}
	}
	return nil
}

// mayBeIn reports whether a value may be in the data of an entry. It saves most
// entries from being decoded.
func (s *eraseSearch) mayBeIn(data string) bool {
	if strings.Contains(data, `\`) || len(s.emails) > 0 && strings.Contains(data, "@") {
		return true
	}
	for exact := range s.exact {
		if strings.Contains(data, `"`+exact+`"`) {
			return true
		}
	}
	return len(s.in(data)) > 0
}

// searchEntry looks for all values in one entry.
func (s *eraseSearch) searchEntry(entry *JournalEntry) error {
	at := ErasureFinding{Sequence: entry.Sequence, ContactID: contactOf(entry)}
	for t := range jsonTexts(entry.Data) {
		if t.text == t.member || t.number && t.member != "changes" || entry.Kind == JournalErasure && t.member != "reason" && t.member != "actor" {
			continue // words and numbers of this package, and the id that a receipt keeps
		}
		at.Field = t.member
		for _, value := range []string{s.exact[t.text], s.emailOf(t.text)} {
			if value == "" || t.number {
				continue
			}
			at.Value = value
			if err := s.found(at); err != nil {
				return err
			}
		}
		if err := s.foundIn(t.text, at); err != nil {
			return err
		}
	}
	return nil
}

// emailOf returns the address of the probe that a string of the journal is; "" if
// it is none.
func (s *eraseSearch) emailOf(text string) string {
	if len(s.emails) == 0 || !strings.Contains(text, "@") {
		return ""
	}
	return s.emails[MatchEmail(text)]
}

// A jsonText is a text in a JSON object: a string, a number, or the name of a member.
type jsonText struct {
	member string // of the object, that it is in
	text   string // decoded
	number bool
}

// jsonTexts yields the texts of a JSON object. What cannot be read is yielded as it
// is.
func jsonTexts(object string) iter.Seq[jsonText] {
	return func(yield func(jsonText) bool) {
		if object == "" {
			return
		}
		d := jsontext.NewDecoder(strings.NewReader(object), jsontext.AllowDuplicateNames(true))
		member := ""
		for {
			token, err := d.ReadToken()
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(jsonText{member: member, text: object})
				return
			}
			kind := token.Kind()
			if kind != '"' && kind != '0' {
				continue
			}
			text := token.String()
			if d.StackDepth() == 1 {
				if _, n := d.StackIndex(1); n%2 == 1 { // a name comes before its value
					member = text
				}
			}
			if !yield(jsonText{member, text, kind == '0'}) {
				return
			}
		}
	}
}

// addSubjects makes the search find companions in the ledger that name one of the
// numbers by its subject.
func (s *eraseSearch) addSubjects(l *ledger) {
	if l == nil {
		return
	}
	for _, k := range s.keys {
		if k.Kind != KeyPhoneNumber {
			continue
		}
		for i := range l.secrets {
			subject := l.secrets[i].subject(l.account, k.Value)
			s.exact[hex.EncodeToString(subject[:])] = s.values[k]
		}
	}
}

// contactOf returns the contact that an entry of the journal is about; zero: none.
func contactOf(entry *JournalEntry) uuid.UUID {
	id := uuid.UUID(entry.Subject[:16])
	if entry.Subject == contactSubject(id) {
		return id
	}
	entries, _, err := readLedger([]JournalEntry{*entry})
	if err != nil || len(entries) == 0 {
		return uuid.Nil
	}
	return entries[0].ContactID
}
