package contactstest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/contacts"
)

// IgnoreAssigned returns an option of go-cmp that leaves out what a service
// assigns to a contact: ids, the account, versions and times. Of the time of a deletion
// it compares whether it is set.
func IgnoreAssigned() cmp.Option {
	return cmp.Options{
		cmpopts.IgnoreFields(contacts.Contact{}, "ID", "AccountID", "CreatedAt", "UpdatedAt", "Version", "DoNotCallSequence", "DoNotCallErased", "DoNotCallChangesAt"),
		cmpopts.IgnoreFields(contacts.PhoneNumber{}, "ID", "DoNotCallDate"),
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".DeletedAt" },
			cmp.Comparer(func(x, y time.Time) bool { return x.IsZero() == y.IsZero() })),
	}
}

// EquateContexts returns an option of go-cmp that compares custom and industry
// contexts in their JSON form. So a test may write numbers and lists as Go has
// them, where a service returns json.Number and []any.
func EquateContexts() cmp.Option {
	return cmp.Transformer("JSON", func(context map[string]any) string {
		text, err := json.Marshal(context)
		form := jsontext.Value(text)
		if err == nil {
			err = form.Format(jsontext.ReorderRawObjects(true), jsontext.WithIndent("  "))
		}
		if err != nil {
			return fmt.Sprintf("%#v", context) // it has no JSON form, so no service returns it
		}
		return form.String()
	})
}
