//go:build cgo

package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"example.com/contacts"
)

const (
	// The columns in the order of encodeContact and decodeContact.
	contactColumns = `id, first_name, last_name, email, company, website,
		address, city, state, zip_code, country, status, stage, team_id,
		phones, tags, custom_context, industry_context, created_at, updated_at, version, deleted_at`

	// Where some of them are in a row of encodeContact.
	rowEmail, rowPhones, rowTags = 4, 15, 16

	// An account that does not exist has no number: NULL, which its column
	// does not take.
	insertContactSQL = `INSERT INTO contact_data (account, ` + contactColumns + `)
		VALUES (` + accountSQL + `, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)`

	findContactSQL = `SELECT ` + contactColumns + ` FROM contact_data WHERE account = ` + accountSQL + ` AND id = ?2`
)

// CreateContacts implements [contacts.Store]. Batches that are created at the
// same time share a transaction and its sync to the disk. A large batch has
// several transactions or, if it is all or nothing, one of its own. A failure that is not that
// of one record is that of all in its transaction.
func (s *Store) CreateContacts(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
	n, most := len(batch.Records), s.writer.most
	if n == 0 {
		return nil
	}
	if err := s.enter(); err != nil {
		return slices.Repeat([]contacts.ContactOutcome{{Err: createError(err)}}, n)
	}
	defer s.calls.Done()

	if n <= most || batch.AllOrNothing {
		return s.createContacts(ctx, batch)
	}
	var outcomes []contacts.ContactOutcome // nil while every record is stored
	for i := 0; i < n; i += most {
		part, end := batch, min(i+most, n)
		part.Records = batch.Records[i:end]
		if batch.Idempotencies != nil {
			part.Idempotencies = batch.Idempotencies[i:end]
		}
		of := s.createContacts(ctx, part)
		if of != nil && outcomes == nil {
			outcomes = make([]contacts.ContactOutcome, n)
		}
		if of != nil {
			copy(outcomes[i:], of)
		}
	}
	return outcomes
}

// createContacts stores the records in one transaction.
func (s *Store) createContacts(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
	rows := make([][]driver.Value, len(batch.Records))
	for i, r := range batch.Records {
		rows[i] = encodeContact(r)
	}
	idempotencies := encodeIdempotencies(&batch)
	allOrNothing, now := batch.AllOrNothing, batch.Now
	var outcomes []contacts.ContactOutcome // nil while every record is stored
	create := func(c *writeConn) error {
		outcomes = nil
		failed, remembered := false, 0
		for i, row := range rows {
			var first *idempotency
			if idempotencies != nil {
				first = idempotencies[i]
			}
			o, err := c.createContact(row, first)
			if err != nil {
				return err
			}
			if o.Err == nil && o.Result == "" {
				if first != nil {
					remembered++
				}
				continue
			}
			if outcomes == nil {
				outcomes = make([]contacts.ContactOutcome, len(rows))
			}
			outcomes[i] = o
			failed = failed || o.Err != nil
		}
		if failed && allOrNothing {
			return errRecordFailed
		}
		if remembered > 0 {
			return c.prune(now, remembered)
		}
		return nil
	}
	var err error
	undone := false // the batch was, and others in its transaction were not
	switch {
	case !allOrNothing:
		err = s.writer.do(ctx, len(rows), create)
	case len(rows) <= s.writer.most:
		err = s.writer.do(ctx, len(rows), func(c *writeConn) (err error) {
			undone, err = c.undoable(create)
			return err
		})
	default:
		err = s.writer.doAlone(ctx, len(rows), create)
	}
	switch {
	case errors.Is(err, errRecordFailed), err == nil && undone:
		for i := range outcomes {
			if outcomes[i].Err == nil {
				outcomes[i] = contacts.ContactOutcome{Err: createError(contacts.ErrBatchFailed)}
			}
		}
	case err != nil:
		return slices.Repeat([]contacts.ContactOutcome{{Err: createError(classify(err))}}, len(rows))
	}
	return outcomes
}

// errRecordFailed undoes a batch that is all or nothing. It reaches no caller.
var errRecordFailed = errors.New("a record of the batch failed")

// undoable runs the job, and undoes what it did, and nothing else of the
// transaction, if a record of its batch failed.
func (c *writeConn) undoable(j job) (undone bool, err error) {
	if err := c.savepoint.exec(); err != nil {
		return false, err
	}
	if err := j(c); err != nil {
		if !errors.Is(err, errRecordFailed) {
			return false, err // the transaction ends
		}
		if err := c.rollbackTo.exec(); err != nil {
			return false, err
		}
		undone = true
	}
	return undone, c.release.exec()
}

// createContact stores the contact in a row of encodeContact, unless its
// idempotency has an answer already; nil: it has none. The outcome is what has to
// do with this contact alone.
func (c *writeConn) createContact(row []driver.Value, first *idempotency) (o contacts.ContactOutcome, err error) {
	if first != nil {
		if answered, err := c.replay(first, &o); answered || err != nil {
			return o, err
		}
	}
	if err := c.insertContact.exec(row...); err != nil {
		verdict := constraint(err)
		if verdict == nil {
			return o, err
		}
		o.Err = createError(verdict)
		return o, nil
	}
	if first != nil {
		err = c.remember(first)
	}
	return o, err
}

func createError(err error) error { return fmt.Errorf("sqlite: create contacts: %w", err) }

// FindContact implements [contacts.Store].
func (s *Store) FindContact(ctx context.Context, accountID, id uuid.UUID) (*contacts.ContactRecord, error) {
	const op = "sqlite: find contact: %w"
	if err := s.enter(); err != nil {
		return nil, fmt.Errorf(op, err)
	}
	defer s.calls.Done()

	row, err := s.readers.row(ctx, findContact, accountID[:], id[:])
	if err != nil {
		return nil, fmt.Errorf(op, classify(err))
	}
	r, err := decodeContact(row)
	if err != nil {
		return nil, fmt.Errorf(op, err)
	}
	r.Contact.AccountID = accountID
	return r, nil
}

// encodeContact returns the arguments of insertContactSQL, which share no memory
// that the caller may change.
func encodeContact(r *contacts.ContactRecord) []driver.Value {
	c := &r.Contact
	return []driver.Value{
		bytes.Clone(c.AccountID[:]), bytes.Clone(c.ID[:]),
		c.FirstName, optional(c.LastName), optional(c.Email), optional(c.Company), optional(c.Website),
		optional(c.Address), optional(c.City), optional(c.State), optional(c.ZipCode),
		c.Country, c.Status, c.Stage, number(c.TeamID),
		encodePhones(c.PhoneNumbers), encodeTags(c.Tags),
		optional(r.CustomContext), optional(r.IndustryContext),
		micros(c.CreatedAt), micros(c.UpdatedAt), number(c.Version), micros(c.DeletedAt),
	}
}

// decodeContact returns the contact in a row of contactColumns, which do not
// include its account.
func decodeContact(row []driver.Value) (*contacts.ContactRecord, error) {
	phones, err := decodePhones(text(row[14]))
	if err != nil {
		return nil, err
	}
	tags, err := decodeTags(text(row[15]))
	if err != nil {
		return nil, err
	}
	return &contacts.ContactRecord{
		Contact: contacts.Contact{
			ID:        id(row[0]),
			FirstName: text(row[1]), LastName: text(row[2]), Email: text(row[3]), Company: text(row[4]), Website: text(row[5]),
			Address: text(row[6]), City: text(row[7]), State: text(row[8]), ZipCode: text(row[9]),
			Country: text(row[10]), Status: text(row[11]), Stage: text(row[12]), TeamID: integer(row[13]),
			PhoneNumbers: phones, Tags: tags,
			CreatedAt: instant(row[18]), UpdatedAt: instant(row[19]),
			Version: integer(row[20]), DeletedAt: instant(row[21]),
		},
		CustomContext:   text(row[16]),
		IndustryContext: text(row[17]),
	}, nil
}

// encodePhones returns [[id, number, type, primary, do not call], ...], or NULL.
func encodePhones(phones []contacts.PhoneNumber) driver.Value {
	if len(phones) == 0 {
		return nil
	}
	b := make([]byte, 0, 80*len(phones))
	for _, p := range phones {
		b = append(b, `,["`...)
		b = append(b, p.ID.String()...)
		b = append(b, `",`...)
		b = appendQuoted(b, p.PhoneNumber)
		b = append(b, ',')
		b = appendQuoted(b, p.PhoneType)
		b = append(b, ',', digit(p.Primary), ',', digit(p.DoNotCall), ']')
	}
	b[0] = '['
	return string(append(b, ']'))
}

func decodePhones(s string) ([]contacts.PhoneNumber, error) {
	if s == "" {
		return nil, nil
	}
	var phones []contacts.PhoneNumber
	a := newArray(s)
	for a.next('[') {
		p := contacts.PhoneNumber{}
		number, err := uuid.Parse(a.element())
		if a.err == nil {
			a.err = err
		}
		p.ID = number
		p.PhoneNumber = a.element()
		p.PhoneType = a.element()
		p.Primary = a.element() == "1"
		p.DoNotCall = a.element() == "1"
		a.element() // its ]
		phones = append(phones, p)
	}
	return phones, a.failure("phones")
}

// encodeTags returns a JSON array, or NULL.
func encodeTags(tags []string) driver.Value {
	if len(tags) == 0 {
		return nil
	}
	b := make([]byte, 0, 16*len(tags))
	for _, t := range tags {
		b = appendQuoted(append(b, ','), t)
	}
	b[0] = '['
	return string(append(b, ']'))
}

func decodeTags(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	var tags []string
	a := newArray(s)
	for a.next('"') {
		tags = append(tags, a.element())
	}
	return tags, a.failure("tags")
}

// appendQuoted appends s as a JSON string. Its error would be about text that is
// not UTF-8, which a store never receives.
func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

func digit(b bool) byte {
	if b {
		return '1'
	}
	return '0'
}

// An array reads a JSON array from its first element on, and remembers the first
// error.
type array struct {
	dec *jsontext.Decoder
	err error
}

func newArray(s string) *array {
	a := &array{dec: jsontext.NewDecoder(bytes.NewBufferString(s))}
	a.element() // its [
	return a
}

// next reports whether another element follows, of that kind, and enters it if
// it is an array.
func (a *array) next(kind jsontext.Kind) bool {
	if a.err != nil || a.dec.PeekKind() != kind {
		return false
	}
	if kind == '[' {
		a.element()
	}
	return a.err == nil
}

// element returns the next string, or the text of whatever else is next.
func (a *array) element() string {
	if a.err != nil {
		return ""
	}
	t, err := a.dec.ReadToken()
	if err != nil {
		a.err = err
		return ""
	}
	return t.String()
}

// failure returns an error if the array was not read to its end. It does not
// say what was in it.
func (a *array) failure(column string) error {
	if a.err == nil && a.element() == "]" && a.err == nil {
		return nil
	}
	return fmt.Errorf("%w: column %s", ErrCorrupt, column)
}
