package memory

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/erasetest"
)

// contents returns all that the store has, as text.
func contents(s *Store) string {
	var all strings.Builder
	for _, a := range s.ordered {
		a.sort()
		a.buildIndex()
		fmt.Fprintln(&all, *a.AccountRecord, a.teams, a.settings, a.ids, a.index, a.journal, a.subjects)
		for _, id := range a.ids {
			fmt.Fprintln(&all, a.contacts[id])
		}
		for _, key := range slices.SortedFunc(maps.Keys(a.idempotency), func(x, y [32]byte) int { return slices.Compare(x[:], y[:]) }) {
			fmt.Fprintln(&all, *a.idempotency[key])
		}
		for _, k := range a.keys {
			fmt.Fprintln(&all, *k.KeyRecord)
		}
	}
	return all.String()
}

// traces returns what the store has of the person.
func traces(s *Store) []string { return erasetest.Traces([]byte(contents(s))) }

func wantNoTrace(t *testing.T, s *Store) {
	t.Helper()
	if found := traces(s); found != nil {
		t.Errorf("left: %q", found)
	}
}

func TestNoByteIsLeft(t *testing.T) {
	t.Parallel()
	s := New()
	w := erasetest.New(t, s)
	w.Crowd(t, 100)
	c := w.Person(t)
	before := strings.Join(traces(s), "\n")
	for _, want := range []string{"Qzv1xFirst", "Qzv2xFirst", "Qzv1xReason", "Qzv2xReference", "Qzv2xDeep", "Qzv1xSource", "as digits"} {
		if !strings.Contains(before, want) {
			t.Fatalf("%s is not there before: the test would see nothing", want)
		}
	}
	w.Erase(t, c, true)
	wantNoTrace(t, s)
	w.WantErased(t)
}

// Every field is known to contents. A new one has to be looked at: does an erasure
// remove what is in it?
func TestEveryTableIsKnown(t *testing.T) {
	t.Parallel()
	got := make(map[string]string)
	for _, kept := range []reflect.Type{reflect.TypeFor[Store](), reflect.TypeFor[account](), reflect.TypeFor[key]()} {
		var names []string
		for i := range kept.NumField() {
			names = append(names, kept.Field(i).Name)
		}
		got[kept.Name()] = strings.Join(names, " ")
	}
	want := map[string]string{
		"Store":   "mu closed accounts ordered keys keyIDs",
		"account": "AccountRecord teams keys settings mu contacts ids sorted index idempotency journal subjects pruneAt",
		"key":     "KeyRecord",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the fields are not those that erasure knows (-known +there):\n%s", diff)
	}
}

func TestOldNumber(t *testing.T) {
	t.Parallel()
	s := New()
	erasetest.OldNumberIsErased(t, erasetest.New(t, s), func() { wantNoTrace(t, s) })
}

// An objection outlives the person's data.
func TestSurvivesErasure(t *testing.T) {
	t.Parallel()
	s := New()
	erasetest.SurvivesErasure(t, s, func() contacts.Store {
		wantNoTrace(t, s)
		return s
	})
}

func TestErasure(t *testing.T) {
	t.Parallel()
	erasetest.Scenarios(t, New())
}

// One goroutine erases a person while another creates a relative with the same number.
func TestSharedNumber(t *testing.T) {
	t.Parallel()
	w := erasetest.New(t, New())
	erasetest.SharedNumber(t, w, longtest.Extent(50, 5000), w.Relative(t))
}
