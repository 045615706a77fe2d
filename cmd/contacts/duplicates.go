package main

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"strconv"

	"example.com/contacts"
)

type duplicatesCommand struct {
	keyFlags
	Kind contacts.KeyKind `enum:",email,phone_number,external_id" default:"" placeholder:"KIND" help:"What the contacts share: email, phone_number or external_id. Default: email, and then phone_number."`
}

// A twin is one contact of a group. The first of a group says what they share.
type twin struct {
	*contacts.Contact
	group *contacts.DuplicateGroup // nil: not the first
}

// Run prints the groups. What of them cannot be read is an error at the end.
func (c *duplicatesCommand) Run(ctx context.Context, s *session) error {
	return c.act(ctx, s, mayRead, func(svc *contacts.Service, key string) error {
		var damaged error
		groups := func(yield func(contacts.DuplicateGroup, error) bool) {
			for group, err := range svc.Duplicates(ctx, key, contacts.FindDuplicatesInput{Key: c.Kind, WithoutContexts: !s.JSON}) {
				if _, is := errors.AsType[*contacts.DamagedError](err); is {
					damaged, err = cmp.Or(damaged, err), nil
				}
				if !yield(group, err) {
					return
				}
			}
		}
		if s.JSON {
			err := list(s.out, groups)
			return errors.Join(err, damaged)
		}
		err := list(s.out, twins(groups),
			column[twin]{"SHARED", func(t twin) string {
				if t.group == nil {
					return ""
				}
				return string(t.group.Key)
			}},
			column[twin]{"COUNT", func(t twin) string {
				if t.group == nil {
					return ""
				}
				return strconv.Itoa(t.group.Count)
			}},
			column[twin]{"CONTACT", func(t twin) string { return t.ID.String() }},
			column[twin]{"CREATED", func(t twin) string { return clock(t.CreatedAt) }},
			column[twin]{"EMAIL", func(t twin) string { return t.Email }},
			column[twin]{"NAME", func(t twin) string { return t.FirstName + " " + t.LastName }},
		)
		return errors.Join(err, damaged)
	})
}

// twins yields the contacts of the groups.
func twins(groups iter.Seq2[contacts.DuplicateGroup, error]) iter.Seq2[twin, error] {
	return func(yield func(twin, error) bool) {
		for group, err := range groups {
			if err != nil {
				yield(twin{}, err)
				return
			}
			first := &group
			for _, contact := range group.Contacts {
				if !yield(twin{contact, first}, nil) {
					return
				}
				first = nil
			}
		}
	}
}
