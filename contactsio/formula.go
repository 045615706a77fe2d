package contactsio

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A spreadsheet runs a cell as a formula if it starts with one of a few characters.
// Such a cell gets a ' in front when it is written, and loses it when it is read.

// withFormulaMark returns the text of a cell that no spreadsheet runs.
func withFormulaMark(s string) string {
	if looksLikeFormula(s) {
		return "'" + s
	}
	return s
}

// withoutFormulaMark is the inverse of withFormulaMark. It takes a ' off in exactly
// the cases in which that puts one on.
func withoutFormulaMark(s string) string {
	if rest, ok := strings.CutPrefix(s, "'"); ok && looksLikeFormula(rest) {
		return rest
	}
	return s
}

// looksLikeFormula reports whether the first character after marks, blanks and
// quotes is one that starts a formula. A number is none, and neither is a phone
// number in E.164, so that those stay as they are.
func looksLikeFormula(s string) bool {
	if s == "" || s[0]|0x20 >= 'a' && s[0]|0x20 <= 'z' || s[0] >= '0' && s[0] <= '9' { // most cells
		return false
	}
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(s, func(c rune) bool {
		return c == '\'' || c == '"' || c != '\t' && c != '\r' && c != '\n' && unicode.IsSpace(c)
	}))
	switch first {
	case '=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠':
		return !isE164(s) && !isPlainNumber(s)
	default:
		return false
	}
}

// isE164 reports whether s is + and 7 to 15 digits.
func isE164(s string) bool {
	digits, ok := strings.CutPrefix(s, "+")
	return ok && len(digits) >= 7 && len(digits) <= 15 && isDigits(digits)
}

// isPlainNumber reports whether s is a number without an exponent.
func isPlainNumber(s string) bool {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	return isDigits(whole) && (!point || isDigits(fraction))
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
