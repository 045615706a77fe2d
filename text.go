package contacts

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxBytesPerCharacter bounds how many bytes of input can become one character
// in normalisation, with room to spare.
const maxBytesPerCharacter = 32

// text returns s in NFC and trimmed; limit counts characters.
func text(s, field string, limit int, bad *problems) string {
	if len(s) <= limit && isPlain(s) {
		return s
	}
	return normaliseText(s, field, limit, false, bad)
}

// multilineText is text that may hold line breaks.
func multilineText(s, field string, limit int, bad *problems) string {
	if len(s) <= limit && isPlain(s) {
		return s
	}
	return normaliseText(s, field, limit, true, bad)
}

// isPlain reports whether s is printable ASCII without space at its ends, which
// normalisation leaves as it is.
func isPlain(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return s == "" || s[0] != ' ' && s[len(s)-1] != ' '
}

func normaliseText(s, field string, limit int, multiline bool, bad *problems) string {
	s = strings.TrimSpace(s)
	if len(s) > limit*maxBytesPerCharacter {
		bad.add(field, FieldTooLong, fmt.Sprintf("must have at most %d characters", limit))
		return ""
	}
	if !utf8.ValidString(s) {
		bad.add(field, FieldInvalid, "must be valid UTF-8")
		return ""
	}
	s = strings.TrimSpace(norm.NFC.String(s))
	control := func(c rune) bool {
		switch c {
		case '\n', '\r', '\u2028', '\u2029': // line and paragraph separator
			return !multiline
		default:
			return unicode.IsControl(c)
		}
	}
	switch {
	case strings.ContainsFunc(s, control):
		bad.add(field, FieldInvalid, "must hold no control characters")
		return ""
	case utf8.RuneCountInString(s) > limit:
		bad.add(field, FieldTooLong, fmt.Sprintf("must have at most %d characters", limit))
		return ""
	}
	return s
}

func isASCIILetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isASCII(s string) bool {
	for _, c := range []byte(s) {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
