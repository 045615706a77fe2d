package contacts

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A FieldChange is one field that differs between two states of a contact.
type FieldChange struct {
	// Field is the documented name. A member of a context has its path:
	// "custom_context.source.name". A full stop or a backslash in the name of a
	// member has a backslash before it. The name of a context alone means that
	// the whole context is new, or gone.
	Field  string `json:"field"`
	Before any    `json:"before"` // nil: a member was not there, or was null
	After  any    `json:"after"`  // nil: a member is no longer there, or is null
}

// Changes returns what differs between two states of a contact, in the order of
// the documented parameters. Ids, times and versions of the contact are left out. Of
// phone numbers every field counts. A nil contact has no fields. What it returns may
// share memory with the contacts. Safe for concurrent use.
func Changes(before, after *Contact) []FieldChange {
	var changes []FieldChange
	compare(before, after, func(d difference) {
		changes = append(changes, FieldChange{memberPath(d.field, d.path), d.before, d.after})
	})
	return changes
}

// memberPath returns the name of a field, or the path of a member of a context.
func memberPath(field string, path []string) string {
	escape := strings.NewReplacer(`\`, `\\`, `.`, `\.`)
	for _, name := range path {
		field += "." + escape.Replace(name)
	}
	return field
}

// A difference is one field that differs between two states of a contact.
type difference struct {
	field         string
	path          []string // inside a context; empty: the context itself; nil: another field
	before, after any
	had, has      bool // there was a value before, and there is one after; null is one
}

// compare calls differ for each difference between two contacts, in the order of
// the documented parameters.
func compare(before, after *Contact, differ func(difference)) {
	if before == nil {
		before = new(Contact)
	}
	if after == nil {
		after = new(Contact)
	}
	was, is := before.texts(), after.texts()
	for i := range textFields {
		if was, is := *was[i], *is[i]; was != is {
			differ(difference{field: textFields[i].name, before: was, after: is, had: was != "", has: is != ""})
		}
	}
	if was, is := before.TeamID, after.TeamID; was != is {
		differ(difference{field: "team_id", before: was, after: is, had: was != 0, has: is != 0})
	}
	if was, is := before.Tags, after.Tags; !slices.Equal(was, is) {
		differ(difference{field: "tags", before: was, after: is, had: len(was) > 0, has: len(is) > 0})
	}
	if was, is := before.PhoneNumbers, after.PhoneNumbers; !slices.Equal(was, is) {
		differ(difference{field: "phone_numbers", before: was, after: is, had: len(was) > 0, has: len(is) > 0})
	}
	compareContexts("custom_context", before.CustomContext, after.CustomContext, differ)
	compareContexts("industry_context", before.IndustryContext, after.IndustryContext, differ)
}

// compareContexts compares two contexts member by member, unless one is absent.
func compareContexts(field string, before, after map[string]any, differ func(difference)) {
	switch {
	case before != nil && after != nil:
		compareMembers(difference{field: field, path: []string{}}, before, after, differ)
	case before != nil:
		differ(difference{field: field, path: []string{}, before: before, had: true})
	case after != nil:
		differ(difference{field: field, path: []string{}, after: after, has: true})
	}
}

// compareMembers calls differ for each member, at any depth, that differs between
// two objects, in the order of their paths. The objects are at the place of at.
func compareMembers(at difference, before, after map[string]any, differ func(difference)) {
	names := make(map[string]bool, len(before)+len(after))
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d := difference{field: at.field, path: append(slices.Clip(at.path), name)}
		d.before, d.had = before[name]
		d.after, d.has = after[name]
		wasObject, both := d.before.(map[string]any)
		isObject, ok := d.after.(map[string]any)
		switch {
		case both && ok:
			compareMembers(d, wasObject, isObject, differ)
		case d.had != d.has || !reflect.DeepEqual(d.before, d.after):
			differ(d)
		}
	}
}
