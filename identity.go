package contacts

import (
	"strings"
	"unicode"

	"github.com/google/uuid"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// A KeyKind is a kind of match key: a field by which a contact is recognised.
type KeyKind string

// The kinds of match keys.
const (
	KeyExternalID  KeyKind = "external_id"
	KeyEmail       KeyKind = "email"
	KeyPhoneNumber KeyKind = "phone_number"
)

// keyKinds are all kinds, in the order of [ContactRecord.MatchKeys].
var keyKinds = [...]KeyKind{KeyExternalID, KeyEmail, KeyPhoneNumber}

// A MatchKey is a value by which a contact is recognised, in the form in which
// values of its kind are compared.
type MatchKey struct {
	Kind  KeyKind
	Value string
}

// MatchKeys returns the match keys of the contact: its external id, its e-mail
// address in the form of [MatchEmail], and its phone numbers in their order.
// Stores index them. Safe for concurrent use.
func (r *ContactRecord) MatchKeys() []MatchKey {
	c := &r.Contact
	keys := make([]MatchKey, 0, 2+len(c.PhoneNumbers))
	if c.ExternalID != "" {
		keys = append(keys, MatchKey{KeyExternalID, c.ExternalID})
	}
	if c.Email != "" {
		keys = append(keys, MatchKey{KeyEmail, MatchEmail(c.Email)})
	}
	for _, p := range c.PhoneNumbers {
		keys = append(keys, MatchKey{KeyPhoneNumber, p.PhoneNumber})
	}
	return keys
}

// MatchEmail returns the form in which a stored e-mail address is compared: the
// part before the @ in NFC and without letter case, by Unicode's full case
// folding, and the domain as it is. Accents, dots and +tags stay, because most
// providers deliver them to other mailboxes. Safe for concurrent use.
func MatchEmail(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		at = len(address)
	}
	return norm.NFC.String(foldCase(address[:at])) + address[at:]
}

// foldCase returns text without letter case, by Unicode's full case folding.
func foldCase(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return cases.Fold().String(strings.Map(upperCherokee, s))
}

// upperCherokee makes Cherokee letters upper case, because Fold only swaps their
// two cases.
func upperCherokee(c rune) rune {
	if unicode.Is(unicode.Cherokee, c) {
		return unicode.ToUpper(c)
	}
	return c
}

// An Actor is who did something.
type Actor struct {
	Kind  ActorKind `json:"kind"`
	KeyID uuid.UUID `json:"key_id,omitzero"` // of an ActorKey
	Name  string    `json:"name,omitempty"`
}

// An ActorKind says what kind of actor it was.
type ActorKind string

// The kinds of actors.
const (
	ActorKey    ActorKind = "key"    // an API key, through a Service
	ActorAdmin  ActorKind = "admin"  // the host, through an Admin
	ActorSystem ActorKind = "system" // the library itself
)
