package contactsio

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"example.com/contacts"
)

// checkRegion rejects a region whose phone numbers are not known.
func checkRegion(options, region string) error {
	_, err := contacts.ParsePhoneNumber("", region)
	if details := detailsOf(err); len(details) > 0 && details[0].Field == "region" {
		return wrongOption("%s.Region %s", options, details[0].Message)
	}
	return nil
}

// finishPhones makes the cells phone numbers. A repeated number is folded, and the
// first one is primary unless one is marked. A mark of a number that is not there is
// about all others.
func (p *person) finishPhones() {
	for _, cell := range p.phones {
		p.doNotCall = p.doNotCall || cell.doNotCall && isBlank(cell.text) // no yes is lost
	}
	for i := range p.phones {
		cell := &p.phones[i]
		if isBlank(cell.text) {
			continue
		}
		var column phoneColumn
		if i < len(p.phoneColumns) {
			column = p.phoneColumns[i]
		}
		n := contacts.PhoneNumberInput{
			PhoneNumber: cell.text, PhoneType: cmp.Or(cell.label, column.kind),
			Primary: cell.primary || column.primary, DoNotCall: cell.doNotCall || p.doNotCall,
		}
		if !p.ours {
			label, marked := strings.CutPrefix(cell.label, "* ")
			n.PhoneType, n.Primary = phoneType(label), n.Primary || marked
			if isBlank(label) {
				n.PhoneType = column.kind
			}
			if isFax(n.PhoneType) {
				p.ignored.add(strings.TrimSpace(column.name + " (" + n.PhoneType + ")"))
				continue
			}
		}
		for n.PhoneNumber = range strings.SplitSeq(cell.text, googleSeparator) {
			p.addPhone(n)
		}
	}
	for _, more := range p.more {
		more.DoNotCall = more.DoNotCall || p.doNotCall
		p.addPhone(more)
	}
	if len(p.in.PhoneNumbers) > maxPhones {
		p.refuse("phone_numbers", contacts.FieldTooMany, fmt.Sprintf("must be at most %d", maxPhones))
	}
	primary := false
	for i := range p.in.PhoneNumbers {
		n := &p.in.PhoneNumbers[i]
		n.Primary = n.Primary && !primary // the first one that is marked
		primary = primary || n.Primary
	}
	if p.extensions != nil {
		p.custom("phone_extensions", p.extensions)
	}
}

// These bound what one row costs. A Service allows fewer numbers, unless it is told to
// allow more.
const (
	maxPhones   = 500
	maxProblems = 50
)

// addPhone adds a number, unless it is there. Of a row that is refused for sure, it
// adds no more.
func (p *person) addPhone(n contacts.PhoneNumberInput) {
	text := strings.TrimSpace(n.PhoneNumber)
	if text == "" || len(p.in.PhoneNumbers) > maxPhones || len(p.problems) >= maxProblems {
		return
	}
	text, extension := splitExtension(repairNumber(text))
	switch {
	case strings.ContainsAny(text, "eE") && lostDigits.MatchString(text):
		p.refuse(p.numberField(), ProblemDigitsLost, "is a number with an exponent, which has lost digits; store phone numbers as text")
	case isNational(text) && p.region == "":
		p.refuse(p.numberField(), contacts.FieldInvalid, "must start with + and the country code, or the option Region must say whose number it is")
	default:
		if e164, err := contacts.ParsePhoneNumber(text, p.region); err == nil {
			text = e164
		} else if isNational(text) {
			p.refuse(p.numberField(), contacts.FieldInvalid, phoneReason(err))
		}
	}
	for i := range p.in.PhoneNumbers {
		if other := &p.in.PhoneNumbers[i]; other.PhoneNumber == text {
			other.DoNotCall = other.DoNotCall || n.DoNotCall
			other.Primary = other.Primary || n.Primary
			p.addExtension(i, text, extension)
			p.noteRepeated()
			return
		}
	}
	p.addExtension(len(p.in.PhoneNumbers), text, extension)
	n.PhoneNumber = text
	p.in.PhoneNumbers = append(p.in.PhoneNumbers, n)
}

// isNational reports whether a number has no + and country code.
func isNational(number string) bool { return !strings.ContainsAny(number, "+＋") }

// addExtension keeps the first extension of a number. "": it has none.
func (p *person) addExtension(i int, number, extension string) {
	if extension == "" || p.extensions[number] != nil {
		return
	}
	if p.extensions == nil {
		p.extensions = make(map[string]any)
	}
	p.extensions[number] = extension
	p.note(numberField(i), NoteExtension, "the extension is kept in custom_context.phone_extensions")
}

// noteRepeated notes once that numbers before the next one are repeated.
func (p *person) noteRepeated() {
	n := Note{p.numberField(), NoteRepeatedNumber, "the number is there before; its first type and extension are kept"}
	if len(p.notes) == 0 || p.notes[len(p.notes)-1] != n {
		p.notes = append(p.notes, n)
	}
}

// numberField is the path of the next phone number.
func (p *person) numberField() string { return numberField(len(p.in.PhoneNumbers)) }

// numberField is the path of a phone number.
func numberField(i int) string { return fmt.Sprintf("phone_numbers[%d].phone_number", i) }

// detailsOf returns what is wrong with single fields.
func detailsOf(err error) []contacts.FieldError {
	if e, ok := errors.AsType[*contacts.Error](err); ok {
		return e.Details
	}
	return nil
}

// phoneReason is what a person needs to know of an error of ParsePhoneNumber.
func phoneReason(err error) string {
	if details := detailsOf(err); len(details) > 0 {
		return details[0].Message
	}
	return err.Error()
}

var (
	lostDigits    = regexp.MustCompile(`^'?[+-]?\d+([.,]\d*)?[eE][+-]?\d+$`)
	roundedNumber = regexp.MustCompile(`^\d([.,]\d+)?E\+\d{2}$`) // as spreadsheets write it
	pointZero     = regexp.MustCompile(`^(\+?\d+)\.0$`)
	formulaText   = regexp.MustCompile(`^="([^"]*)"$`)
	extensions    = regexp.MustCompile(`(?i)^(.*\d\)?)(?:;ext=|\s*,?\s*(?:extension|ext\.?|x\.?|#)\s*)(\d{1,10})$`)
)

// repairNumber undoes what spreadsheets do to a number.
func repairNumber(text string) string {
	if isDigits(strings.TrimPrefix(text, "+")) {
		return text
	}
	if m := formulaText.FindStringSubmatch(text); m != nil {
		text = m[1]
	}
	text = strings.TrimSpace(strings.TrimPrefix(text, "'"))
	if m := pointZero.FindStringSubmatch(text); m != nil {
		text = m[1]
	}
	return text
}

// splitExtension splits a number and its extension.
func splitExtension(text string) (number, extension string) {
	if isDigits(strings.TrimPrefix(text, "+")) {
		return text, ""
	}
	if m := extensions.FindStringSubmatch(text); m != nil {
		return m[1], m[2]
	}
	return text, ""
}

// phoneType is a label as a type: the usual ones in small letters, all others as
// they are.
func phoneType(label string) string {
	label = strings.TrimSpace(label)
	switch small := strings.ToLower(label); small {
	case "cell", "cellular", "iphone", "mobile":
		return "mobile"
	case "business":
		return "work"
	case "work", "home", "main", "other", "car", "pager":
		return small
	default:
		return label
	}
}

// isFax reports whether a type is one that nobody can talk to. An office in Halifax is
// none.
func isFax(kind string) bool {
	words := strings.FieldsFunc(strings.ToLower(kind), func(c rune) bool { return !unicode.IsLetter(c) })
	return slices.ContainsFunc(words, func(word string) bool {
		switch word {
		case "halifax", "fairfax", "colfax", "carfax", "equifax":
			return false
		}
		return strings.HasPrefix(word, "fax") || strings.HasSuffix(word, "fax") || strings.Contains(word, "pager")
	})
}
