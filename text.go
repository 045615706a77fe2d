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

// A textKind is a kind of text, with its own form.
type textKind uint8

const (
	oneLine  textKind = iota // free text
	anyLines                 // free text, which may have line breaks
	term                     // compared as a whole
)

// text returns free text trimmed and in NFC; limit counts characters.
func text(s, field string, limit int, bad *problems) string {
	return normaliseText(s, field, limit, oneLine, bad)
}

// multilineText is text that may have line breaks.
func multilineText(s, field string, limit int, bad *problems) string {
	return normaliseText(s, field, limit, anyLines, bad)
}

// termText is text that is compared as a whole, such as a tag. Two terms that
// look the same must be the same, so hidden characters are dropped everywhere. A
// term that shows nothing is "".
func termText(s, field string, limit int, bad *problems) string {
	return normaliseText(s, field, limit, term, bad)
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

func normaliseText(s, field string, limit int, kind textKind, bad *problems) string {
	if len(s) <= limit && isPlain(s) {
		return s
	}
	s = trim(s)
	if len(s) > limit*maxBytesPerCharacter {
		bad.add(field, FieldTooLong, fmt.Sprintf("must have at most %d characters", limit))
		return ""
	}
	if !utf8.ValidString(s) {
		bad.add(field, FieldInvalid, "must be valid UTF-8")
		return ""
	}
	if kind == term {
		s = norm.NFC.String(withoutHidden(s))
	} else {
		s = compose(s)
	}
	s = trim(s)
	control := func(c rune) bool {
		switch c {
		case '\n', '\r', '\u2028', '\u2029': // line and paragraph separator
			return kind != anyLines
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
	case kind == term && !isShown(s):
		return ""
	}
	return s
}

// trim removes space and hidden characters at both ends.
func trim(s string) string {
	return strings.TrimFunc(s, func(c rune) bool { return unicode.IsSpace(c) || isHidden(c) })
}

// isHidden reports whether c is one of the characters that show nothing and that
// programs put around and into what people copy: soft hyphen, zero width space,
// word joiner, byte order mark, and the marks of direction. U+200C and U+200D are
// none: some scripts write words with them, and emoji are joined with them.
func isHidden(c rune) bool {
	switch {
	case c < '\u00ad':
		return false
	case c >= '\u202a' && c <= '\u202e', c >= '\u2060' && c <= '\u206f':
		return true
	default:
		return c == '\u00ad' || c == '\u061c' || c == '\u200b' || c == '\u200e' || c == '\u200f' || c == '\ufeff'
	}
}

func withoutHidden(s string) string {
	return strings.Map(func(c rune) rune {
		if isHidden(c) {
			return -1
		}
		return c
	}, s)
}

// isShown reports whether text shows anything: whether it has more than space,
// control characters, fillers, and marks without a letter.
func isShown(s string) bool { return strings.ContainsFunc(s, isVisible) }

func isVisible(c rune) bool {
	switch c {
	case '\u2800', '\ufffc', '\U0001d159', '\U00013441', '\U00013442': // blanks among the symbols and letters
		return false
	}
	if c < utf8.RuneSelf {
		return c > ' ' && c <= '~'
	}
	return unicode.In(c, unicode.L, unicode.N, unicode.P, unicode.S) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, c)
}

// characterName names a character in a message. What shows nothing has only its
// number.
func characterName(c rune) string {
	switch {
	case c >= ' ' && c <= '~':
		return `"` + string(c) + `"`
	case isVisible(c):
		return fmt.Sprintf("\"%c\" (%U)", c, c)
	default:
		return fmt.Sprintf("%U", c)
	}
}

// compose brings free text to NFC, except for the compatibility ideographs of
// CJK. NFC would replace them for good, and names are written with them.
func compose(s string) string {
	if !strings.ContainsFunc(s, isCompatibilityIdeograph) {
		return norm.NFC.String(s)
	}
	var b strings.Builder
	start := 0
	for i, c := range s {
		if isCompatibilityIdeograph(c) {
			b.WriteString(norm.NFC.String(s[start:i]))
			b.WriteRune(c)
			start = i + utf8.RuneLen(c)
		}
	}
	b.WriteString(norm.NFC.String(s[start:]))
	return b.String()
}

func isCompatibilityIdeograph(c rune) bool {
	return c >= '\uf900' && c <= '\ufaff' || c >= '\U0002f800' && c <= '\U0002fa1f'
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
