package main

import (
	"errors"

	"example.com/contacts"
)

// A region is one whose national phone numbers are read. "": none.
type region string

// Validate refuses a region that the library does not know. The parser calls it.
func (r region) Validate() error {
	_, err := contacts.ParsePhoneNumber("", string(r))
	if e, ok := errors.AsType[*contacts.Error](err); ok && e.Details[0].Field == "region" {
		return errors.New(e.Details[0].Message)
	}
	return nil
}
