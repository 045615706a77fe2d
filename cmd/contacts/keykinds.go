package main

import (
	"errors"
	"fmt"
	"slices"

	"example.com/contacts"
)

// keyKinds are kinds of match keys.
type keyKinds []contacts.KeyKind

const giveKinds = "give " + string(contacts.KeyExternalID) + ", " + string(contacts.KeyEmail) + " or " + string(contacts.KeyPhoneNumber)

// Validate refuses kinds by which no row would match, or each would be refused. The
// parser calls it.
func (k keyKinds) Validate() error {
	if len(k) == 0 { // a variable that is not set: nothing would match
		return errors.New(giveKinds)
	}
	for i, kind := range k {
		switch kind {
		case contacts.KeyExternalID, contacts.KeyEmail, contacts.KeyPhoneNumber:
		default:
			return fmt.Errorf("%q is no kind of match key: %s", kind, giveKinds)
		}
		if slices.Contains(k[:i], kind) {
			return fmt.Errorf("%s is given twice", kind)
		}
	}
	return nil
}
