package contacts

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPhoneText bounds the text of a number, so that a hostile one costs little.
const maxPhoneText = 64

// cleanPhone returns the digits of what people, spreadsheets and messengers write
// as one phone number, with its + in front if it has one. It says why if s is
// something else, or could be another number as well.
func cleanPhone(s string) (number, why string) {
	s = trim(unwrapPhone(trim(s)))
	switch {
	case len(s) > maxPhoneText:
		return "", "is too long for a phone number"
	case !utf8.ValidString(s):
		return "", "must be valid UTF-8"
	case isDecimal(s):
		return "", "looks like a decimal number; give the digits of the phone number alone"
	case isScientific(s):
		return "", "looks like a number in scientific notation, which has lost digits; store phone numbers as text"
	}
	var b strings.Builder
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9', c == '+' && b.Len() == 0:
			b.WriteRune(c)
		case isPhoneSeparator(c):
		case c == '\u202e': // digits show in reverse after it
			return "", "must hold no " + characterName(c)
		case isHidden(c):
		case unicode.IsLetter(c) && isVisible(c), c == '#', c == ',', c == ';':
			return "", "must hold no letters and no extension"
		case unicode.IsDigit(c), c == '＋':
			return "", "must be written in the digits 0 to 9"
		case c == '+':
			return "", "must start with + and be followed by digits alone"
		default:
			return "", "must hold no " + characterName(c)
		}
	}
	number = b.String()
	if strings.Trim(number, "+") == "" {
		return "", "must hold the digits of a phone number"
	}
	return number, ""
}

// phoneSchemes stand in front of numbers in links, and in what messengers and
// advertisers export.
var phoneSchemes = [...]string{"tel:", "callto:", "sms:", "whatsapp:", "p:"}

// unwrapPhone removes what marks a number as text in a spreadsheet ('+1555… and
// ="+1555…"), and a scheme.
func unwrapPhone(s string) string {
	if quoted, ok := strings.CutPrefix(s, `="`); ok && strings.HasSuffix(quoted, `"`) {
		s = quoted[:len(quoted)-1]
	}
	s = strings.TrimPrefix(s, "'")
	for _, scheme := range phoneSchemes {
		if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			return s[len(scheme):]
		}
	}
	return s
}

// isPhoneSeparator reports whether c stands between digits and means nothing. A
// slash, a tab and a line break are none: they may part two numbers.
func isPhoneSeparator(c rune) bool {
	switch c {
	case '.', '(', ')', '[', ']', '（', '）', '−', 'ー': // a minus sign, and the dash of Japanese keyboards
		return true
	default:
		return unicode.In(c, unicode.Zs, unicode.Pd)
	}
}

// isDecimal reports whether s looks like a decimal number, as programs write a
// phone number that they took for one. Its fraction would become digits of the
// phone number. Dots between groups of digits are none.
func isDecimal(s string) bool {
	point := strings.LastIndexAny(s, ".,")
	if point < 0 || strings.Count(s, s[point:point+1]) > 1 {
		return false
	}
	const digits = "0123456789"
	whole, fraction := s[:point], strings.TrimFunc(s[point+1:], func(c rune) bool { return c < '0' || c > '9' })
	if fraction == "" || strings.Trim(fraction, digits) != "" || !strings.ContainsAny(whole, digits) || strings.ContainsFunc(whole, unicode.IsLetter) {
		return false
	}
	zero := strings.Trim(fraction, "0") == ""
	if s[point] == ',' { // else a pause
		return zero
	}
	return zero || len(fraction) == 1 || len(fraction) == 2 && strings.Trim(whole, "+"+digits) == ""
}

// bracketedDigit matches the trunk prefix in +48 (0) 22 … and +48 (0-22) …
var bracketedDigit = regexp.MustCompile(`[(（]\s*(0|[1-9][^0-9])`)

// bracketedTrunk returns the digit of a trunk prefix that is written in
// parentheses. 0: there is none.
func bracketedTrunk(s string) byte {
	if m := bracketedDigit.FindStringSubmatch(s); m != nil {
		return m[1][0]
	}
	return 0
}

// isScientific reports whether s is a number with an exponent.
func isScientific(s string) bool {
	_, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	return err == nil && strings.ContainsAny(s, "eE")
}
