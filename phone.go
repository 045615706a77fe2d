package contacts

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// phoneRules normalise phone numbers to E.164.
type phoneRules struct {
	region    string // "": E.164 only
	validOnly bool
}

// isRegion reports whether national numbers of the region can be read.
func isRegion(region string) bool { return phonenumbers.GetSupportedRegions()[region] }

// maxE164Digits is the limit of ITU-T E.164, with the country code.
const maxE164Digits = 15

// ParsePhoneNumber returns the phone number in text as E.164, by the rules of a
// create. It is for programs that read files. region is that of national numbers, as
// two upper-case letters of ISO 3166 ("US"); with "" the number must start with +.
//
// Digits without + may be a national number, or a whole one that a spreadsheet has
// taken the + from. The reading that is in use counts, the national one first. If
// neither is in use, they are taken where only one of the two is possible, or where
// both are the same number.
//
// Its error is a CodeValidationError about phone_number or region.
func ParsePhoneNumber(text, region string) (string, error) {
	if region != "" && !isRegion(region) {
		return "", NewValidationError(FieldError{"region", FieldInvalid, `must be two upper-case letters of ISO 3166, such as "US"`})
	}
	r := phoneRules{region: region}
	national, why := r.normalise(text)
	if region == "" || strings.ContainsAny(text, "+＋") {
		return national, phoneError(why)
	}
	if why == "" && isInUse(national) {
		return national, nil
	}
	digits, unread := cleanPhone(text)
	if unread != "" {
		return "", phoneError(unread)
	}
	whole, noWhole := phoneRules{}.normalise("+" + digits)
	switch {
	case noWhole == "" && isInUse(whole):
		return whole, nil
	case why == "" && noWhole == "" && whole != national:
		return "", phoneError("may start with a country code or not; start with + if it does")
	}
	return national, phoneError(why)
}

// isInUse reports whether a number in E.164 is in an assigned range.
func isInUse(e164 string) bool {
	parsed, err := phonenumbers.Parse(e164, "")
	return err == nil && phonenumbers.IsValidNumber(parsed)
}

// phoneError is the error of a number that is refused. "": nil.
func phoneError(why string) error {
	if why == "" {
		return nil
	}
	return NewValidationError(FieldError{"phone_number", FieldInvalid, why})
}

// normalise returns s as E.164, or why it is refused. It returns its own
// results unchanged.
func (r phoneRules) normalise(s string) (e164, why string) {
	if !r.validOnly && isPossibleE164(s) {
		return s, ""
	}
	number, why := cleanPhone(s)
	if why != "" {
		return "", why
	}
	parsed, why := r.read(number)
	if why != "" {
		return "", why
	}
	if parsed, why = judgeTrunk(parsed, bracketedTrunk(s)); why != "" {
		return "", why
	}
	if r.validOnly && !phonenumbers.IsValidNumber(parsed) {
		return "", "is not in a range of numbers that is in use"
	}
	return phonenumbers.Format(parsed, phonenumbers.E164), ""
}

// read returns the one phone number that is meant by digits, with or without a +
// in front.
func (r phoneRules) read(number string) (parsed *phonenumbers.PhoneNumber, why string) {
	international := number[0] == '+'
	switch {
	case international && len(number) > 1+maxE164Digits:
		return nil, "must have at most 15 digits"
	case international:
		if parsed, why = parsePhone(number, ""); why != "" && parsed != nil && !hasZeros(parsed) {
			if shorter := withoutTrunk(parsed, '0'); shorter != nil {
				return shorter, ""
			}
		}
	case r.region == "" && strings.HasPrefix(number, "00"):
		return nil, "must start with + in place of 00"
	case r.region == "":
		return nil, "must start with + and the country code"
	default:
		parsed, why = r.parseNational(number)
	}
	if why != "" {
		return nil, why
	}
	e164 := phonenumbers.Format(parsed, phonenumbers.E164)
	if len(e164) > 1+maxE164Digits {
		return nil, "must have at most 15 digits"
	}
	if e164 != number {
		// The parser strips one trunk prefix. A number that still has one
		// (+44 00 1234 …) would be read back as another number.
		again, why := parsePhone(e164, "")
		if why != "" || phonenumbers.Format(again, phonenumbers.E164) != e164 {
			return nil, "has digits in front that belong to no number"
		}
	}
	return parsed, ""
}

// parsePhone returns what the parser makes of a number, and why it is refused if
// it is not possible.
func parsePhone(number, region string) (parsed *phonenumbers.PhoneNumber, why string) {
	parsed, err := phonenumbers.Parse(number, region)
	if err != nil {
		return nil, whyNotParsed(err)
	}
	result := phonenumbers.IsPossibleNumberWithReason(parsed)
	if result == phonenumbers.TOO_LONG && isOldMexicanMobile(parsed) {
		return parsed, "must leave out the 1 after +52, which is no longer used"
	}
	return parsed, whyImpossible(result)
}

// isOldMexicanMobile reports whether the number has the 1 that marked mobile
// numbers of Mexico until 2019. Some messengers still write it.
func isOldMexicanMobile(n *phonenumbers.PhoneNumber) bool {
	national := phonenumbers.GetNationalSignificantNumber(n)
	return n.GetCountryCode() == 52 && len(national) == 11 && national[0] == '1'
}

// parseNational parses digits without a +. Where they start with the region's own
// country code, they may be a national number or a whole one that lacks its +.
// They are refused if both are possible and differ. Only where nobody writes a
// trunk prefix, a national number that is in use stands against a whole one that
// is not.
func (r phoneRules) parseNational(number string) (parsed *phonenumbers.PhoneNumber, why string) {
	parsed, why = parsePhone(number, r.region)
	code := strconv.Itoa(phonenumbers.GetCountryCodeForRegion(r.region))
	if why != "" || !strings.HasPrefix(number, code) {
		return parsed, why
	}
	whole, why := parsePhone("+"+number, "")
	if why != "" || phonenumbers.Format(whole, phonenumbers.E164) == phonenumbers.Format(parsed, phonenumbers.E164) {
		return parsed, ""
	}
	trunk := phonenumbers.GetNddPrefixForRegion(r.region, true)
	switch {
	case trunk != "":
		return nil, fmt.Sprintf("may start with the country code %s or not; start with +, or with %s if it does not", code, trunk)
	case phonenumbers.IsValidNumber(parsed) && !phonenumbers.IsValidNumber(whole):
		return parsed, ""
	default:
		return nil, fmt.Sprintf("may start with the country code %s or not; start with +%s", code, code)
	}
}

// judgeTrunk drops a 0 after the country code that people write there, as in
// +48 (0) 22 …, though the plan of the country has none. Where numbers of the plan
// start with 0, as in Italy, it may be part of the number. Another digit is refused
// if it is bracketed and the number is in use without it alone.
func judgeTrunk(n *phonenumbers.PhoneNumber, bracketed byte) (number *phonenumbers.PhoneNumber, why string) {
	first := phonenumbers.GetNationalSignificantNumber(n)[0]
	if first != '0' && first != bracketed {
		return n, ""
	}
	shorter, inUse := withoutTrunk(n, first), phonenumbers.IsValidNumber(n)
	keeps := hasZeros(n) || first != '0'
	switch {
	case keeps && (inUse || shorter == nil), inUse && !(bracketed == '0' && shorter != nil):
		return n, ""
	case !keeps && !inUse && shorter != nil:
		return shorter, ""
	default:
		return nil, fmt.Sprintf("has the digit %c in front that belongs to no number; leave it out", first)
	}
}

// withoutTrunk returns the number without the digit that its national number may
// start with. nil: it does not, or is not in use without it.
func withoutTrunk(n *phonenumbers.PhoneNumber, digit byte) *phonenumbers.PhoneNumber {
	national := phonenumbers.GetNationalSignificantNumber(n)
	if national[0] != digit {
		return nil
	}
	e164 := "+" + strconv.Itoa(int(n.GetCountryCode())) + national[1:]
	shorter, why := parsePhone(e164, "")
	if why != "" || !phonenumbers.IsValidNumber(shorter) || phonenumbers.Format(shorter, phonenumbers.E164) != e164 {
		return nil
	}
	return shorter
}

// hasZeros reports whether numbers of the plan start with 0.
func hasZeros(n *phonenumbers.PhoneNumber) bool { return callingCodes()[n.GetCountryCode()].zeros }

// A PhoneForm is a phone number that reaches the same line as another one.
type PhoneForm struct {
	Number string `json:"number"` // E.164
	Name   string `json:"name"`   // of the rule; "": the number itself
}

// The names of the rules.
const (
	formBrazil    = "br_ninth_digit"
	formArgentina = "ar_mobile_nine"
	formMexico    = "mx_mobile_one"
)

// PhoneForms returns the numbers that reach the line of a number in E.164: the
// number itself first, and at most one more. Numbers of Brazil have them with and
// without the ninth digit of mobile numbers, those of Argentina with and without
// the 9 after +54, and those of Mexico with and without the 1 after +52. They serve
// comparisons alone: nothing that is stored is rewritten. The do-not-call ledger
// looks for all of them. Safe for concurrent use.
func PhoneForms(number string) []PhoneForm {
	forms := []PhoneForm{{Number: number}}
	if len(number) < 12 || len(number) > 14 || number[0] != '+' || strings.Trim(number[1:], "0123456789") != "" {
		return forms
	}
	digits := number[3:] // after a country code of two digits
	switch number[:3] {
	case "+55":
		const area = 2
		subscriber := digits[area:]
		switch {
		case len(subscriber) == 9 && subscriber[0] == '9' && subscriber[1] >= '6':
			return append(forms, PhoneForm{number[:3+area] + subscriber[1:], formBrazil})
		case len(subscriber) == 8 && subscriber[0] >= '6':
			return append(forms, PhoneForm{number[:3+area] + "9" + subscriber, formBrazil})
		}
	case "+54":
		return withAndWithout(forms, "9", formArgentina)
	case "+52":
		return withAndWithout(forms, "1", formMexico)
	}
	return forms
}

// withAndWithout adds the form of a number that has a digit after its country
// code, or lacks it, before ten more digits.
func withAndWithout(forms []PhoneForm, digit, name string) []PhoneForm {
	const ten = 10
	code, digits := forms[0].Number[:3], forms[0].Number[3:]
	switch rest, has := strings.CutPrefix(digits, digit); {
	case has && len(rest) == ten:
		return append(forms, PhoneForm{code + rest, name})
	case len(digits) == ten:
		return append(forms, PhoneForm{code + digit + digits, name})
	}
	return forms
}

// listed returns a number that the do-not-call ledger takes, or why it is refused.
// A number that is out of use is taken if an equivalent form of it is possible. A
// block must not fail because a range is not assigned.
func (r phoneRules) listed(s string) (e164, why string) {
	r.validOnly = false
	if e164, why = r.normalise(s); why == "" {
		return e164, ""
	}
	number, whyNot := cleanPhone(s)
	if whyNot != "" {
		return "", why
	}
	for _, form := range PhoneForms(number)[1:] {
		if possible, _ := r.normalise(form.Number); possible == form.Number {
			return number, ""
		}
	}
	return "", why
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

// A callingCode says which national numbers a country calling code has, and which
// of them the parser takes as they are.
type callingCode struct {
	lengths uint32         // bit n: n digits are possible
	literal string         // a number that starts with it may lose it; "": none
	pattern *regexp.Regexp // a number that matches may be rewritten; nil: none
	zeros   bool           // some numbers start with 0
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
		c := callingCode{
			zeros: strings.HasPrefix(m.GetFixedLine().GetExampleNumber(), "0") || strings.HasPrefix(m.GetMobile().GetExampleNumber(), "0"),
		}
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
