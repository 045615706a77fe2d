package contacts

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// phoneRules normalise phone numbers to E.164.
type phoneRules struct {
	region    string // "": E.164 only
	validOnly bool
}

// isRegion reports whether national numbers of the region can be read.
func isRegion(region string) bool { return phonenumbers.GetSupportedRegions()[region] }

// maxPhoneText bounds the text of a number, so that a hostile one costs little.
const maxPhoneText = 64

// maxE164Digits is the limit of ITU-T E.164, with the country code.
const maxE164Digits = 15

// normalise returns s as E.164, or why it is refused. It returns its own
// results unchanged.
func (r phoneRules) normalise(s string) (e164, why string) {
	if !r.validOnly && isPossibleE164(s) {
		return s, ""
	}
	number, why := r.clean(s)
	if why != "" {
		return "", why
	}
	region := ""
	if number[0] != '+' {
		region = r.region
	}
	parsed, err := phonenumbers.Parse(number, region)
	if err != nil {
		return "", whyNotParsed(err)
	}
	if why := whyImpossible(phonenumbers.IsPossibleNumberWithReason(parsed)); why != "" {
		return "", why
	}
	if r.validOnly && !phonenumbers.IsValidNumber(parsed) {
		return "", "is not in a range of numbers that is in use"
	}
	e164 = phonenumbers.Format(parsed, phonenumbers.E164)
	if len(e164) > 1+maxE164Digits {
		return "", "must have at most 15 digits"
	}
	if e164 != number {
		// The parser strips one trunk prefix. A number that still has one
		// (+44 00 1234 …) would be read back as another number.
		again, err := phonenumbers.Parse(e164, "")
		if err != nil || phonenumbers.Format(again, phonenumbers.E164) != e164 {
			return "", "has digits in front that belong to no number"
		}
	}
	return e164, ""
}

// clean drops what people write between digits, and refuses what is not a number
// after that.
func (r phoneRules) clean(s string) (number, why string) {
	s = strings.TrimSpace(s)
	if len(s) > maxPhoneText {
		return "", "is too long for a phone number"
	}
	var b strings.Builder
	for i, c := range s {
		switch {
		case c >= '0' && c <= '9', c == '+' && i == 0:
			b.WriteRune(c)
		case c == '.', c == '(', c == ')', unicode.Is(unicode.Zs, c), unicode.Is(unicode.Pd, c):
		case unicode.IsLetter(c), c == '#', c == ',', c == ';':
			return "", "must hold no letters and no extension"
		case unicode.IsDigit(c):
			return "", "must be written in the digits 0 to 9"
		default:
			return "", "must start with + and be followed by digits alone"
		}
	}
	number = b.String()
	digits := strings.TrimPrefix(number, "+")
	switch {
	case digits == "":
		return "", "must hold the digits of a phone number"
	case number[0] != '+' && r.region == "" && strings.HasPrefix(number, "00"):
		return "", "must start with + in place of 00"
	case number[0] != '+' && r.region == "":
		return "", "must start with + and the country code"
	case number[0] == '+' && len(digits) > maxE164Digits:
		return "", "must have at most 15 digits"
	}
	return number, ""
}

func whyNotParsed(err error) string {
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return "starts with no country code that exists"
	case errors.Is(err, phonenumbers.ErrTooShortAfterIDD), errors.Is(err, phonenumbers.ErrTooShortNSN):
		return "is too short"
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return "is too long for its country code"
	default:
		return "is not a phone number"
	}
}

func whyImpossible(result phonenumbers.ValidationResult) string {
	switch result {
	case phonenumbers.IS_POSSIBLE:
		return ""
	case phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return "lacks its area code"
	case phonenumbers.INVALID_COUNTRY_CODE:
		return "starts with no country code that exists"
	case phonenumbers.TOO_SHORT:
		return "is too short for its country code"
	case phonenumbers.TOO_LONG:
		return "is too long for its country code"
	default:
		return "has a length that its country code does not have"
	}
}

// A callingCode says which national numbers of a country calling code the parser
// takes as they are.
type callingCode struct {
	lengths uint32         // bit n: n digits are possible
	literal string         // a number that starts with it may lose it; "": none
	pattern *regexp.Regexp // a number that matches may be rewritten; nil: none
}

// callingCodes is built from the parser's own metadata, once: it never changes.
var callingCodes = sync.OnceValue(func() *[1000]callingCode {
	var codes [1000]callingCode
	collection, err := phonenumbers.MetadataCollection()
	if err != nil {
		return &codes // every number takes the slow path
	}
	for _, m := range collection.GetMetadata() {
		code := int(m.GetCountryCode())
		// A code that many regions share is judged by its main one.
		if code >= len(codes) || m.GetId() != phonenumbers.GetRegionCodeForCountryCode(code) {
			continue
		}
		var c callingCode
		for _, n := range m.GetGeneralDesc().GetPossibleLength() {
			if n > 0 && n <= maxE164Digits {
				c.lengths |= 1 << n
			}
		}
		for _, n := range m.GetGeneralDesc().GetPossibleLengthLocalOnly() {
			c.lengths &^= 1 << n
		}
		if prefix := m.GetNationalPrefixForParsing(); strings.Trim(prefix, "0123456789") == "" {
			c.literal = prefix
		} else {
			c.pattern = regexp.MustCompile("^(?:" + prefix + ")")
		}
		codes[code] = c
	}
	return &codes
})

// isPossibleE164 reports whether s is E.164, of a possible length, and left as it
// is by the parser. It never accepts what the parser would refuse. Cases that
// need the parser's patterns are left to the parser.
func isPossibleE164(s string) bool {
	if len(s) < 4 || len(s) > 1+maxE164Digits || s[0] != '+' || s[1] == '0' {
		return false
	}
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	codes := callingCodes()
	code := 0
	for i := 1; i <= 3; i++ {
		code = code*10 + int(s[i]-'0')
		c := &codes[code]
		if c.lengths == 0 {
			continue
		}
		national := s[i+1:]
		return c.lengths&(1<<len(national)) != 0 &&
			national[0] != '0' &&
			(c.literal == "" || !strings.HasPrefix(national, c.literal)) &&
			(c.pattern == nil || !c.pattern.MatchString(national))
	}
	return false
}
