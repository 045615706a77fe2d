package contactsio

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/contacts"
)

// A cardWriter writes a vCard for each contact. The encoder of go-vcard neither folds
// lines nor escapes all that must be escaped, so the cards are written here.
type cardWriter struct{ version string }

func (cardWriter) begin(text []byte) []byte { return text }

func (w cardWriter) contact(text []byte, c *contacts.Contact) ([]byte, error) {
	line := func(name, value string) { text = appendFolded(text, name+":"+value) }
	line("BEGIN", "VCARD")
	line("VERSION", w.version)
	if c.ExternalID != "" {
		line("UID", escapeText(c.ExternalID))
	}
	line("N", structured(c.LastName, c.FirstName, "", "", ""))
	line("FN", escapeText(strings.TrimSpace(c.FirstName+" "+c.LastName)))
	if c.Company != "" {
		line("ORG", escapeText(c.Company))
	}
	if c.Email != "" {
		line("EMAIL", escapeText(c.Email))
	}
	labels := 0
	for _, p := range c.PhoneNumbers {
		name, label := "TEL", ""
		switch p.PhoneType {
		case "":
			name += ";TYPE=VOICE"
		case "mobile":
			name += ";TYPE=CELL;TYPE=VOICE"
		case "work", "home":
			name += ";TYPE=" + strings.ToUpper(p.PhoneType) + ";TYPE=VOICE"
		case "fax", "pager", "car":
			name += ";TYPE=" + strings.ToUpper(p.PhoneType)
		default:
			labels++
			name, label = fmt.Sprintf("item%d.TEL", labels), fmt.Sprintf("item%d.X-ABLabel", labels)
		}
		switch {
		case !p.Primary || len(c.PhoneNumbers) == 1:
		case w.version == "4.0":
			name += ";PREF=1"
		default:
			name += ";TYPE=PREF"
		}
		line(name, escapeText(p.PhoneNumber))
		if label != "" {
			line(label, escapeText(p.PhoneType))
		}
	}
	line("ADR;TYPE=WORK", structured("", "", c.Address, c.City, c.State, c.ZipCode, c.Country))
	if c.Website != "" {
		line("URL", escapeText(c.Website))
	}
	if len(c.Tags) > 0 {
		tags := make([]string, len(c.Tags))
		for i, tag := range c.Tags {
			tags[i] = escapeText(tag)
		}
		line("CATEGORIES", strings.Join(tags, ","))
	}
	revised := time.RFC3339
	if w.version == "4.0" { // has no dashes and colons (RFC 6350, 4.3)
		revised = "20060102T150405Z"
	}
	line("REV", c.UpdatedAt.Format(revised))
	line("END", "VCARD")
	return text, nil
}

// structured writes the parts of a value.
func structured(parts ...string) string {
	for i := range parts {
		parts[i] = escapeText(parts[i])
	}
	return strings.Join(parts, ";")
}

// textEscapes are those of a value. All line breaks are one.
var textEscapes = strings.NewReplacer(`\`, `\\`, "\r\n", `\n`, "\n", `\n`, "\r", `\n`, ",", `\,`, ";", `\;`)

func escapeText(s string) string { return textEscapes.Replace(s) }

// appendFolded appends a line, in parts of at most 75 bytes that no character is cut
// by.
func appendFolded(text []byte, line string) []byte {
	const maxLine = 75
	room := maxLine
	for len(line) > room {
		end := room
		for !utf8.RuneStart(line[end]) {
			end--
		}
		text = append(append(text, line[:end]...), "\r\n "...)
		line, room = line[end:], maxLine-1
	}
	return append(append(text, line...), '\r', '\n')
}
