package contacts

import (
	"maps"
	"reflect"
	"slices"
)

// A FieldChange is one field that differs between two states of a contact.
type FieldChange struct {
	// Field is the documented name. A member of a context has its path:
	// "custom_context.source.name".
	Field  string `json:"field"`
	Before any    `json:"before"` // nil: a member was not there
	After  any    `json:"after"`  // nil: a member is no longer there
}

// Changes returns what differs between two states of a contact, in the order of
// the documented parameters. Ids, times and versions are left out. A nil contact
// has no fields. What it returns may share memory with the contacts. Safe for
// concurrent use.
func Changes(before, after *Contact) []FieldChange {
	if before == nil {
		before = new(Contact)
	}
	if after == nil {
		after = new(Contact)
	}
	var changes []FieldChange
	differ := func(field string, was, is any) {
		changes = append(changes, FieldChange{field, was, is})
	}
	was, is := before.texts(), after.texts()
	for i := range textFields {
		if *was[i] != *is[i] {
			differ(textFields[i].name, *was[i], *is[i])
		}
	}
	if before.TeamID != after.TeamID {
		differ("team_id", before.TeamID, after.TeamID)
	}
	if !slices.Equal(before.Tags, after.Tags) {
		differ("tags", before.Tags, after.Tags)
	}
	if !slices.Equal(before.PhoneNumbers, after.PhoneNumbers) {
		differ("phone_numbers", before.PhoneNumbers, after.PhoneNumbers)
	}
	members("custom_context", before.CustomContext, after.CustomContext, differ)
	members("industry_context", before.IndustryContext, after.IndustryContext, differ)
	return changes
}

// members calls differ for each member, at any depth, that differs between two
// objects, in the order of their paths.
func members(path string, before, after map[string]any, differ func(path string, was, is any)) {
	names := make(map[string]bool, len(before)+len(after))
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		path, was, is := path+"."+name, before[name], after[name]
		wasObject, both := was.(map[string]any)
		isObject, ok := is.(map[string]any)
		switch {
		case both && ok:
			members(path, wasObject, isObject, differ)
		case !reflect.DeepEqual(was, is):
			differ(path, was, is)
		}
	}
}
