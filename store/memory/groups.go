package memory

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"example.com/contacts"
	"example.com/contacts/store/internal/grouplist"
)

// groups returns a page of the contacts that share a match key, in the order of
// the keys' values.
func (a *account) groups(ctx context.Context, q *contacts.ContactQuery) (list contacts.ContactList, err error) {
	after, err := parsePosition(q.Position)
	if err != nil {
		return list, err
	}
	var values []string
	n := 0
	for key, ids := range a.index {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return list, ctx.Err()
		}
		if key.Kind == q.Shared && len(ids) > 1 && (q.Position == "" || key.Value > after) {
			values = append(values, key.Value)
		}
	}
	slices.Sort(values)
	page := grouplist.New(q.Limit)
	for _, value := range values {
		if ctx.Err() != nil {
			return contacts.ContactList{}, ctx.Err()
		}
		g := contacts.ContactGroup{Key: contacts.MatchKey{Kind: q.Shared, Value: value}}
		for _, id := range a.index[g.Key] {
			if r := a.contacts[id].record(); q.Matches(r) {
				if g.Count++; g.Count <= contacts.MaxGroupRecords {
					g.Records = append(g.Records, r)
				}
			}
		}
		if g.Count > 1 && !page.Add(g, nil, formatPosition(value)) {
			break
		}
	}
	return page.ContactList, nil
}

// The position of a group is the value of its key, which may be empty, after one
// letter.
const positionForm = "x"

func formatPosition(value string) string { return positionForm + hex.EncodeToString([]byte(value)) }

// parsePosition returns the value of a key; "" if there is no position.
func parsePosition(position string) (string, error) {
	if position == "" {
		return "", nil
	}
	digits, ok := strings.CutPrefix(position, positionForm)
	value, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return "", contacts.ErrNotFound
	}
	return string(value), nil
}
