package postgres

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"example.com/contacts"
)

// Lists are JSON arrays in the tables, and "" where they are empty.

// encodePhones returns [[id, number, type, primary, do not call], ...].
func encodePhones(phones []contacts.PhoneNumber) string {
	if len(phones) == 0 {
		return ""
	}
	const common = 96 // bytes of a number
	b := make([]byte, 0, common*len(phones))
	for _, p := range phones {
		b = append(b, `,["`...)
		b = append(b, p.ID.String()...)
		b = append(b, `",`...)
		b = appendQuoted(b, p.PhoneNumber)
		b = appendQuoted(append(b, ','), p.PhoneType)
		b = appendBool(append(b, ','), p.Primary)
		b = append(appendBool(append(b, ','), p.DoNotCall), ']')
	}
	b[0] = '['
	return string(append(b, ']'))
}

func decodePhones(s string) ([]contacts.PhoneNumber, error) {
	if s == "" {
		return nil, nil
	}
	d := jsontext.NewDecoder(strings.NewReader(s))
	var phones []contacts.PhoneNumber
	next := func(kind jsontext.Kind) jsontext.Token {
		t, err := d.ReadToken()
		if err != nil || t.Kind() != kind && kind != 0 {
			return jsontext.Null
		}
		return t
	}
	next('[')
	for d.PeekKind() == '[' {
		next('[')
		id, err := uuid.Parse(next('"').String())
		if err != nil {
			return nil, errDamaged
		}
		phones = append(phones, contacts.PhoneNumber{
			ID: id, PhoneNumber: next('"').String(), PhoneType: next('"').String(), Primary: next(0).Kind() == 't', DoNotCall: next(0).Kind() == 't',
		})
		if next(']').Kind() != ']' {
			return nil, errDamaged
		}
	}
	if next(']').Kind() != ']' {
		return nil, errDamaged
	}
	return phones, nil
}

func encodeTags(tags []string) string {
	if len(tags) == 0 {
		return ""
	}
	const common = 16 // bytes of a tag
	b := make([]byte, 0, common*len(tags))
	for _, t := range tags {
		b = appendQuoted(append(b, ','), t)
	}
	b[0] = '['
	return string(append(b, ']'))
}

func decodeTags(s string) (tags []string, err error) {
	err = decodeJSON(s, &tags)
	return tags, err
}

// appendQuoted appends s as a JSON string. Its error would be about text that is
// not UTF-8, which a store never receives.
func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}
