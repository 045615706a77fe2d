// Package packed holds the one JSON form in which stores keep the phone numbers
// and the tags of a contact in a column:
//
//	[["01890a5d-ac96-774b-bcce-b302099a8057","+15550100","mobile",1], …]
//	["vip","new"]
//
// A phone number is its id, the number, its type, and whether it is primary. 1 and 0
// are true and false: the short form. SQLite returns it from json_extract as it is,
// and what PostgreSQL's ->> yields can be cast to boolean. Nothing has the form "".
package packed

import (
	"encoding/hex"
	"errors"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"example.com/contacts"
)

// ErrSyntax says that a text is not of the packed form. No error says what the
// text holds.
var ErrSyntax = errors.New("the packed form is damaged")

// FormatPhones returns the packed form of phone numbers.
func FormatPhones(phones []contacts.PhoneNumber) string {
	if len(phones) == 0 {
		return ""
	}
	const usual = 80 // bytes of one
	b := make([]byte, 0, usual*len(phones))
	for i := range phones {
		p := &phones[i]
		b = appendID(append(b, ",["...), p.ID)
		b = appendText(append(b, ','), p.PhoneNumber)
		b = appendText(append(b, ','), p.PhoneType)
		b = append(b, ',', digit(p.Primary), ']')
	}
	b[0] = '['
	return string(append(b, ']'))
}

// ParsePhones returns the phone numbers of a packed form. Its error is
// [ErrSyntax].
func ParsePhones(s string) ([]contacts.PhoneNumber, error) {
	if s == "" {
		return nil, nil
	}
	p := parser{rest: s}
	var phones []contacts.PhoneNumber
	for p.element(len(phones) == 0) {
		var n contacts.PhoneNumber
		p.token('[')
		n.ID = p.id()
		p.token(',')
		n.PhoneNumber = p.text()
		p.token(',')
		n.PhoneType = p.text()
		p.token(',')
		n.Primary = p.digit()
		p.token(']')
		phones = append(phones, n)
	}
	if !p.ended() {
		return nil, ErrSyntax
	}
	return phones, nil
}

// FormatTags returns the packed form of tags.
func FormatTags(tags []string) string {
	if len(tags) == 0 {
		return ""
	}
	const usual = 16 // bytes of one
	b := make([]byte, 0, usual*len(tags))
	for _, t := range tags {
		b = appendText(append(b, ','), t)
	}
	b[0] = '['
	return string(append(b, ']'))
}

// ParseTags returns the tags of a packed form. Its error is [ErrSyntax].
func ParseTags(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	p := parser{rest: s}
	var tags []string
	for p.element(len(tags) == 0) {
		tags = append(tags, p.text())
	}
	if !p.ended() {
		return nil, ErrSyntax
	}
	return tags, nil
}

func appendID(b []byte, id uuid.UUID) []byte {
	b = hex.AppendEncode(append(b, '"'), id[:4])
	b = hex.AppendEncode(append(b, '-'), id[4:6])
	b = hex.AppendEncode(append(b, '-'), id[6:8])
	b = hex.AppendEncode(append(b, '-'), id[8:10])
	b = hex.AppendEncode(append(b, '-'), id[10:])
	return append(b, '"')
}

// appendText appends s as a JSON string. Its error would be about text that is
// not UTF-8, which a store never receives.
func appendText(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

func digit(b bool) byte {
	if b {
		return '1'
	}
	return '0'
}

// A parser reads a JSON array. It remembers that something was wrong, and then
// returns zero values. White space may stand between the tokens: a program that
// edits the column may put it there.
type parser struct {
	rest string
	bad  bool
}

// element reads the [ before the first element, or the comma before a further
// one. It reports false at the end of the array, and where something was wrong.
func (p *parser) element(first bool) bool {
	if first {
		p.token('[')
		return !p.bad
	}
	if p.next() == ']' {
		return false
	}
	p.token(',')
	return !p.bad
}

// ended reads the ] after the last element, and reports whether all was right.
func (p *parser) ended() bool {
	p.token(']')
	p.next()
	return !p.bad && p.rest == ""
}

// next skips white space and returns the byte that follows; 0: none.
func (p *parser) next() byte {
	for p.rest != "" {
		switch c := p.rest[0]; c {
		case ' ', '\t', '\n', '\r':
			p.rest = p.rest[1:]
		default:
			return c
		}
	}
	return 0
}

// token reads one byte.
func (p *parser) token(c byte) {
	if p.bad || p.next() != c {
		p.bad = true
		return
	}
	p.rest = p.rest[1:]
}

func (p *parser) digit() bool {
	if p.next() == '0' {
		p.token('0')
		return false
	}
	p.token('1')
	return !p.bad
}

func (p *parser) id() uuid.UUID {
	const length = 36
	s := p.text()
	id, err := uuid.Parse(s)
	if err != nil || len(s) != length {
		p.bad = true
		return uuid.Nil
	}
	return id
}

// text reads a JSON string.
func (p *parser) text() string {
	if p.token('"'); p.bad {
		return ""
	}
	for i := range len(p.rest) {
		switch c := p.rest[i]; {
		case c == '"':
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			p.bad = !utf8.ValidString(s)
			return s
		case c == '\\':
			return p.escaped(i)
		case c < ' ':
			p.bad = true
			return ""
		}
	}
	p.bad = true
	return ""
}

// escaped reads the rest of a JSON string whose first backslash is at i.
func (p *parser) escaped(i int) string {
	for ; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '\\':
			i++ // what it escapes is judged below
		case '"':
			b, err := jsontext.AppendUnquote(nil, `"`+p.rest[:i+1])
			p.rest = p.rest[i+1:]
			p.bad = err != nil
			return string(b)
		}
	}
	p.bad = true
	return ""
}
