package contactsio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/contacts"
)

// jsonRows reads a file with one JSON object on each line.
type jsonRows struct{ reader *Reader }

// A lineContact is the body of a create, with the members that an export adds.
// Those are ignored.
type lineContact struct {
	contacts.CreateContactInput
	PhoneNumbers []linePhone `json:"phone_numbers"`

	ID        jsontext.Value `json:"id"`
	AccountID jsontext.Value `json:"account_id"`
	Version   jsontext.Value `json:"version"`
	CreatedAt jsontext.Value `json:"created_at"`
	UpdatedAt jsontext.Value `json:"updated_at"`
	DeletedAt jsontext.Value `json:"deleted_at"`
	History   jsontext.Value `json:"history"`
}

type linePhone struct {
	PhoneNumber string `json:"phone_number"`
	PhoneType   string `json:"phone_type"`
	Primary     bool   `json:"primary"`
	DoNotCall   bool   `json:"do_not_call"`

	ID        jsontext.Value `json:"id"`
	DNCDate   jsontext.Value `json:"dnc_date"`
	DNCReason jsontext.Value `json:"dnc_reason"`
}

// next reads the next line that is not blank.
func (j *jsonRows) next() (Row, error) {
	r := j.reader
	for {
		l, err := r.text.next()
		if err != nil {
			return Row{}, err
		}
		text := bytes.TrimSpace(l.bytes)
		if len(text) == 0 && !l.cut {
			r.blank++
			continue
		}
		row := Row{Line: l.number, Offset: l.offset, Raw: []string{string(text)}}
		if l.cut {
			row.Problems = problem("", contacts.FieldTooLong, fmt.Sprintf("the line has more than %d bytes", r.text.max))
		} else if code, message := r.text.misread(text); code != "" {
			row.Problems = problem("", code, message)
		} else {
			row.Contact, row.Problems = lineInput(text, r.opts.Region)
		}
		return row, nil
	}
}

// lineInput reads the contact of a line. National numbers are those of the region.
func lineInput(text []byte, region string) (contacts.CreateContactInput, []contacts.FieldError) {
	if text[0] != '{' {
		return contacts.CreateContactInput{}, problem("", ProblemJSON, "the line must be one JSON object")
	}
	var in lineContact
	if err := decodeJSON(text, &in); err != nil {
		return contacts.CreateContactInput{}, jsonProblem(err)
	}
	in.CreateContactInput.PhoneNumbers = phoneInputs(in.PhoneNumbers)
	for i := range in.CreateContactInput.PhoneNumbers {
		n := &in.CreateContactInput.PhoneNumbers[i].PhoneNumber
		if region == "" || isBlank(*n) || strings.ContainsAny(*n, "+＋") {
			continue
		}
		e164, err := contacts.ParsePhoneNumber(*n, region)
		if err != nil {
			return in.CreateContactInput, problem(numberField(i), contacts.FieldInvalid, phoneReason(err))
		}
		*n = e164
	}
	return in.CreateContactInput, nil
}

// phoneInputs leaves out what an export adds.
func phoneInputs(phones []linePhone) (in []contacts.PhoneNumberInput) {
	for _, p := range phones {
		in = append(in, contacts.PhoneNumberInput{PhoneNumber: p.PhoneNumber, PhoneType: p.PhoneType, Primary: p.Primary, DoNotCall: p.DoNotCall})
	}
	return in
}

// decodeJSON decodes one value by the strict rules of the API: names are known and occur
// once, and numbers keep every digit.
func decodeJSON(text []byte, v any) error {
	return jsonv2.Unmarshal(text, v, jsonv2.RejectUnknownMembers(true), jsonv2.WithUnmarshalers(jsonv2.UnmarshalFromFunc(keepDigits)))
}

// keepDigits reads a number of a context digit for digit.
func keepDigits(d *jsontext.Decoder, v *any) error {
	if d.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	text, err := d.ReadValue()
	*v = json.Number(text)
	return err
}

// jsonProblem says what is wrong with a line.
func jsonProblem(err error) []contacts.FieldError {
	semantic, ok := errors.AsType[*jsonv2.SemanticError](err)
	if !ok {
		what := "the line is not JSON"
		if errors.Is(err, io.ErrUnexpectedEOF) {
			what += ": it ends too early"
		}
		return problem("", ProblemJSON, what)
	}
	field := fieldPath(semantic.JSONPointer)
	if errors.Is(err, jsonv2.ErrUnknownName) {
		return problem(field, contacts.FieldUnknown, "is not a field of a contact")
	}
	return problem(field, contacts.FieldWrongType, "has the wrong type")
}

// fieldPath writes a JSON pointer as the path of a field.
func fieldPath(pointer jsontext.Pointer) string {
	var path strings.Builder
	for token := range pointer.Tokens() {
		switch _, err := strconv.Atoi(token); {
		case err == nil:
			path.WriteString("[" + token + "]")
		case path.Len() > 0:
			path.WriteString("." + shorten(token))
		default:
			path.WriteString(shorten(token))
		}
	}
	return path.String()
}
