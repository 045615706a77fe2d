package postgres

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

// A lookupKind is what a contact is found by. The kinds are in the values of
// contact_lookup.
type lookupKind byte

const (
	byPhone lookupKind = 'p'
	byEmail lookupKind = 'e'
	byTag   lookupKind = 't'
)

// value returns what stands for a text in contact_lookup: enough of a hash that
// no two texts have one.
func (k lookupKind) value(text string) uuid.UUID {
	const common = 128
	b := make([]byte, 0, common)
	b = append(b, byte(k))
	b = append(b, text...)
	sum := sha256.Sum256(b)
	return uuid.UUID(sum[:16])
}

// lookupsOf returns the values of a contact, each once.
func lookupsOf(email string, phones []contacts.PhoneNumber, tags []string) []uuid.UUID {
	values := make([]uuid.UUID, 0, 1+len(phones)+len(tags))
	add := func(kind lookupKind, text string) {
		if v := kind.value(text); text != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	add(byEmail, email)
	for _, p := range phones {
		add(byPhone, p.PhoneNumber)
	}
	for _, t := range tags {
		add(byTag, t)
	}
	return values
}

const (
	lookupsGiven = `unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS n (account_id, value, contact_id)`

	insertLookupsSQL = `INSERT INTO {schema}.contact_lookup (account_id, value, contact_id)
		SELECT n.account_id, n.value, n.contact_id FROM ` + lookupsGiven
	deleteLookupsSQL = `DELETE FROM {schema}.contact_lookup AS l USING ` + lookupsGiven + `
		WHERE l.account_id = n.account_id AND l.value = n.value AND l.contact_id = n.contact_id`
)

// lookups are rows of contact_lookup.
type lookups []lookup

type lookup struct{ account, value, id uuid.UUID }

func (l lookup) compare(other lookup) int {
	return cmp.Or(bytes.Compare(l.account[:], other.account[:]), bytes.Compare(l.value[:], other.value[:]), bytes.Compare(l.id[:], other.id[:]))
}

func (l *lookups) add(account, id uuid.UUID, values ...uuid.UUID) {
	for _, v := range values {
		*l = append(*l, lookup{account, v, id})
	}
}

// insert queues the rows for insertion, and delete for removal.
func (l lookups) insert(t *transaction, s *statements) { l.queue(t, s.insertLookups) }
func (l lookups) delete(t *transaction, s *statements) { l.queue(t, s.deleteLookups) }

// queue sorts the rows first, so that neighbours in the index come together.
func (l lookups) queue(t *transaction, sql string) {
	if len(l) == 0 {
		return
	}
	slices.SortFunc(l, lookup.compare)
	t.exec(sql,
		column(l, func(l lookup) pgtype.UUID { return pgUUID(l.account) }),
		column(l, func(l lookup) pgtype.UUID { return pgUUID(l.value) }),
		column(l, func(l lookup) pgtype.UUID { return pgUUID(l.id) }))
}
