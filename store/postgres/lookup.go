package postgres

import (
	"cmp"
	"crypto/sha256"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/contacts"
)

// A lookupKind is a kind of value that contacts are found by.
type lookupKind byte

const (
	byEmail lookupKind = 'e'
	byPhone lookupKind = 'p'
	byTag   lookupKind = 't'
	byID    lookupKind = 'x' // the external id
	byOther lookupKind = '?'
)

// value returns what stands for a text in contact_lookup: the kind and enough of
// a hash that no two texts have the same. The values of a kind are a range.
func (k lookupKind) value(text string) uuid.UUID {
	const common = 128
	b := make([]byte, 0, common)
	b = append(b, byte(k))
	b = append(b, text...)
	sum := sha256.Sum256(b)
	sum[0] = byte(k)
	return uuid.UUID(sum[:16])
}

// lookupKindOf returns the kind of a kind of match keys.
func lookupKindOf(kind contacts.KeyKind) lookupKind {
	switch kind {
	case contacts.KeyExternalID:
		return byID
	case contacts.KeyEmail:
		return byEmail
	case contacts.KeyPhoneNumber:
		return byPhone
	default: // a kind that no contact has
		return byOther
	}
}

// keyLookup returns what stands for a match key in contact_lookup.
func keyLookup(k contacts.MatchKey) uuid.UUID {
	kind := lookupKindOf(k.Kind)
	if kind == byOther {
		return kind.value(string(k.Kind) + "\x00" + k.Value)
	}
	return kind.value(k.Value)
}

// lookupsOf returns the values that the contact is found by, each once.
func lookupsOf(r *contacts.ContactRecord) []uuid.UUID {
	keys := r.MatchKeys()
	values := make([]uuid.UUID, 0, len(keys)+len(r.Contact.Tags))
	add := func(v uuid.UUID) {
		if !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	for _, k := range keys {
		add(keyLookup(k))
	}
	for _, t := range r.Contact.Tags {
		add(byTag.value(t))
	}
	return values
}

const (
	lookupsGiven = `(SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS given` + givenRows + `) AS n (account_id, value, contact_id)`

	insertLookupsSQL = `INSERT INTO {schema}.contact_lookup (account_id, value, contact_id)
		SELECT {owner}, n.value, n.contact_id FROM ` + lookupsGiven + `{owners}`
	deleteLookupsSQL = `DELETE FROM {schema}.contact_lookup AS l USING ` + lookupsGiven + `
		WHERE l.account_id = {account} AND l.value = n.value AND l.contact_id = n.contact_id`
)

// lookups are rows of contact_lookup.
type lookups []lookup

type lookup struct{ account, value, id uuid.UUID }

func (l lookup) compare(other lookup) int {
	return cmp.Or(compareIDs(l.account, other.account), compareIDs(l.value, other.value), compareIDs(l.id, other.id))
}

func (l *lookups) add(k contactKey, values ...uuid.UUID) {
	for _, v := range values {
		*l = append(*l, lookup{k.account, v, k.id})
	}
}

// arrays returns a column of the rows for each column of the table. It sorts the
// rows, so that neighbours in the index come together.
func (l lookups) arrays() []any {
	slices.SortFunc(l, lookup.compare)
	return []any{
		column(l, func(l lookup) pgtype.UUID { return pgUUID(l.account) }),
		column(l, func(l lookup) pgtype.UUID { return pgUUID(l.value) }),
		column(l, func(l lookup) pgtype.UUID { return pgUUID(l.id) }),
	}
}

// exec queues a statement for the rows, if there are any.
func (l lookups) exec(t *transaction, sql string) {
	if len(l) > 0 {
		t.exec(sql, l.arrays()...)
	}
}

// without returns the values that are not among the others.
func without(values, others []uuid.UUID) []uuid.UUID {
	return slices.DeleteFunc(slices.Clone(values), func(v uuid.UUID) bool { return slices.Contains(others, v) })
}
