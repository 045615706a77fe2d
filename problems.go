package contacts

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// maxProblems bounds what a hostile input can make us report, a missing first
// name apart, which decides the code.
const maxProblems = 200

// problems collects what is wrong with an input, so that all of it is reported
// at once.
type problems struct {
	list []FieldError
	most int // how many are reported; 0: maxProblems
}

func (p *problems) add(field, code, message string) {
	if !p.full() || field == "first_name" {
		p.list = append(p.list, FieldError{Field: field, Code: code, Message: message})
	}
}

// clone returns a copy to which more can be added.
func (p *problems) clone() *problems { return &problems{slices.Clone(p.list), p.most} }

// full reports whether what else is wrong need not be looked for.
func (p *problems) full() bool { return len(p.list) >= cmp.Or(p.most, maxProblems) }

// has reports whether the field, or one that it is part of, was found wrong
// before: nothing more can be said of it then.
func (p *problems) has(field string) bool {
	return slices.ContainsFunc(p.list, func(f FieldError) bool {
		rest, ok := strings.CutPrefix(field, f.Field)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// err returns nil if nothing is wrong; else one error for all of it, in the
// order of the documented parameters.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b FieldError) int {
		ra, ia := rank(a.Field)
		rb, ib := rank(b.Field)
		if ra != rb {
			return ra - rb
		}
		return ia - ib
	})
	code := CodeValidationError
	if slices.ContainsFunc(p.list, func(f FieldError) bool { return f.Field == "first_name" && f.Code == FieldRequired }) {
		code = CodeMissingFirstName
	}
	return invalid(code, p.list)
}

// parameters are the documented ones of the create, in their order.
var parameters = [...]string{
	"first_name", "last_name", "email", "company", "website", "address", "city", "state", "zip_code",
	"country", "status", "stage", "team_id", "tags", "phone_numbers", "custom_context", "industry_context",
}

// A fieldSet is a set of the documented parameters.
type fieldSet uint32

// fieldsOf returns the set of the parameters with the names; others are in none.
func fieldsOf(names ...string) (set fieldSet) {
	for _, name := range names {
		if i := slices.Index(parameters[:], name); i >= 0 {
			set |= 1 << i
		}
	}
	return set
}

// rank returns where the field's parameter stands among the documented ones,
// behind them all for an unknown one, and the field's index in it.
func rank(field string) (parameter, index int) {
	name := field
	if i := strings.IndexAny(field, ".["); i >= 0 {
		name = field[:i]
		if end := strings.IndexByte(field, ']'); field[i] == '[' && end > i {
			index, _ = strconv.Atoi(field[i+1 : end])
		}
	}
	parameter = slices.Index(parameters[:], name)
	if parameter < 0 {
		parameter = len(parameters)
	}
	return parameter, index
}

// element returns the path of an element of a list.
func element(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }
