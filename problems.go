package contacts

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// maxProblems bounds how many problems one input reports. A missing first name
// is always reported, because it decides the code.
const maxProblems = 200

// problems collects what is wrong with an input, so that all of it is reported
// at once.
type problems struct {
	list  []FieldError
	limit int // how many are reported; 0: maxProblems
}

func (p *problems) add(field, code, message string) {
	if !p.full() || field == "first_name" {
		p.list = append(p.list, FieldError{Field: field, Code: code, Message: message})
	}
}

// clone returns a copy to which more can be added.
func (p *problems) clone() *problems { return &problems{slices.Clone(p.list), p.limit} }

// nest gives the problems of the given fields their paths in a nested address.
func (p *problems) nest(fields fieldSet) {
	for i := range p.list {
		field := &p.list[i].Field
		if path, ok := addressPath(*field); ok && fields&(1<<fieldNumber(*field)) != 0 {
			*field = path
		}
	}
}

// full reports whether the limit is reached, so that validation can stop.
func (p *problems) full() bool { return len(p.list) >= cmp.Or(p.limit, maxProblems) }

// has reports whether the field, or one that it is part of, was found wrong
// before. Nothing more can be said of it then.
func (p *problems) has(field string) bool {
	return slices.ContainsFunc(p.list, func(f FieldError) bool {
		rest, ok := strings.CutPrefix(field, f.Field)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// err returns nil if nothing is wrong, else one error for all problems, in the
// order of the documented parameters.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b FieldError) int {
		fieldA, indexA := rank(a.Field)
		fieldB, indexB := rank(b.Field)
		return cmp.Or(fieldA-fieldB, indexA-indexB)
	})
	e := NewValidationError(p.list...)
	if slices.ContainsFunc(p.list, func(f FieldError) bool { return f.Field == "first_name" && f.Code == FieldRequired }) {
		missing := newError(ErrMissingFirstName)
		e.Code, e.Message = missing.Code, missing.Message
	}
	return e
}

// element returns the path of an element of a list.
func element(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }
