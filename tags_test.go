package contacts_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
)

func TestTagsAreAddedAndRemoved(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, &contacts.Options{Limits: contacts.Limits{Tags: 4}})
	for _, c := range []struct {
		name        string
		add, remove []string
		want        []string
		details     []contacts.FieldError
	}{
		{name: "add", add: []string{" c ", "c"}, want: []string{"a", "b", "c"}},
		{name: "add what is there", add: []string{"a"}, want: []string{"a", "b"}},
		{name: "remove", remove: []string{"a "}, want: []string{"b"}},
		{name: "remove what is not there", remove: []string{"x"}, want: []string{"a", "b"}},
		{name: "remove all", remove: []string{"a", "b"}, want: nil},
		{name: "both", add: []string{"c", "d", "e"}, remove: []string{"a"}, want: []string{"b", "c", "d", "e"}},
		{name: "one in both goes to the end", add: []string{"a"}, remove: []string{"a"}, want: []string{"b", "a"}},
		{name: "too many", add: []string{"c", "d", "e"}, details: []contacts.FieldError{wrong("add_tags", contacts.FieldTooMany)}},
		{name: "wrong ones", add: []string{"c", " "}, remove: []string{"\x00"}, details: []contacts.FieldError{
			wrong("remove_tags[0]", contacts.FieldInvalid), wrong("add_tags[1]", contacts.FieldRequired)}},
	} {
		for _, form := range []string{"Go", "JSON"} {
			created := w.create(t, contacts.CreateContactInput{FirstName: "x", Tags: []string{"a", "b"}})
			var got *contacts.Contact
			var err error
			if form == "Go" {
				got, err = w.svc.UpdateContact(t.Context(), w.writer, created.ID, contacts.UpdateContactInput{AddTags: c.add, RemoveTags: c.remove}, nil)
			} else {
				body, marshalErr := json.Marshal(map[string]any{"add_tags": c.add, "remove_tags": c.remove})
				if marshalErr != nil {
					t.Fatal(marshalErr)
				}
				got, err = w.svc.UpdateContactJSON(t.Context(), w.writer, created.ID, strings.NewReader(string(body)), nil)
			}
			if c.details != nil {
				e, _ := err.(*contacts.Error)
				if e != nil {
					slices.SortFunc(e.Details, func(a, b contacts.FieldError) int { return strings.Compare(b.Field, a.Field) })
				}
				wantError(t, err, contacts.CodeValidationError, c.details...)
				continue
			}
			if err != nil {
				t.Errorf("%s in %s: %v", c.name, form, err)
				continue
			}
			if diff := cmp.Diff(c.want, got.Tags); diff != "" {
				t.Errorf("%s in %s (-want +got):\n%s", c.name, form, diff)
			}
		}
	}

	created := w.create(t, contacts.CreateContactInput{FirstName: "x"})
	for body, want := range map[string]contacts.FieldError{
		`{"tags":["a"],"add_tags":["b"]}`:    wrong("add_tags", contacts.FieldInvalid),
		`{"tags":null,"remove_tags":["b"]}`:  wrong("remove_tags", contacts.FieldInvalid),
		`{"add_tags":"b"}`:                   wrong("add_tags", contacts.FieldWrongType),
		`{"remove_tags":[null]}`:             wrong("remove_tags[0]", contacts.FieldWrongType),
		`{"first_name":"x","addtags":["b"]}`: wrong("addtags", contacts.FieldUnknown),
	} {
		_, err := w.svc.UpdateContactJSON(t.Context(), w.writer, created.ID, strings.NewReader(body), nil)
		wantError(t, err, contacts.CodeValidationError, want)
	}
	// They are of a PATCH alone.
	body := `{"first_name":"x","add_tags":["b"]}`
	_, err := w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(body))
	wantError(t, err, contacts.CodeValidationError, wrong("add_tags", contacts.FieldUnknown))
	_, err = w.svc.ReplaceContactJSON(t.Context(), w.writer, created.ID, strings.NewReader(body), nil)
	wantError(t, err, contacts.CodeValidationError, wrong("add_tags", contacts.FieldUnknown))
}

func TestConcurrentUpdatesOfTagsAllTakeEffect(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		in := contacts.CreateContactInput{FirstName: "x"}
		var want []string
		for i := range 8 {
			in.Tags = append(in.Tags, fmt.Sprint("old ", i))
			want = append(want, fmt.Sprint("new ", i))
		}
		c := w.create(t, in)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				_, err := w.svc.UpdateContact(t.Context(), w.writer, c.ID, contacts.UpdateContactInput{AddTags: want[i : i+1], RemoveTags: in.Tags[i : i+1]}, nil)
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got := slices.Sorted(slices.Values(w.get(t, c.ID).Tags))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
