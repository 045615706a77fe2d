package contacts_test

import (
	"encoding/json"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/sqlite"
)

// live returns how many bytes a collection leaves.
func live() uint64 {
	runtime.GC()
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// TestHostileBatchTakesLittleMemory is not parallel: it measures the memory of the
// whole process.
func TestHostileBatchTakesLittleMemory(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	longtest.SkipShort(t)
	const count = 10 // contacts
	store, w := countedWorld(t, nil)
	for name, value := range map[string]string{"numbers": "1", "objects": `{"a":1}`} {
		n := (64<<10 - 10) / (len(value) + 1)
		context := `{"a":[` + strings.Repeat(value+",", n-1) + value + `]}`
		contact := `{"first_name":"x","custom_context":` + context + `,"industry_context":` + context + `}`
		body := `{"contacts":[` + strings.Repeat(contact+",", count-1) + contact + `]}`
		before := live()
		var peak uint64
		store.batches = nil
		store.before = func() { peak = max(peak, live()) } // all contacts are read
		results, err := w.svc.CreateContactsJSONSeq(t.Context(), w.key, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		peak = max(peak, live())
		index := 0
		for r := range results {
			if r.Err != nil || r.Index != index {
				t.Fatalf("%s: result %d: %+v", name, index, r)
			}
			if index++; index%5 == 0 {
				peak = max(peak, live())
			}
		}
		if index != count {
			t.Errorf("%s: %d results", name, index)
		}
		if limit := before + 8*uint64(len(body)); peak > limit {
			t.Errorf("%s: %d bytes are live with a body of %d", name, peak-before, len(body))
		}
	}
}

// TestContactsThatMatchTheSameOneShareItsContexts is not parallel: it measures the
// memory of the whole process, and what it allocates.
func TestContactsThatMatchTheSameOneShareItsContexts(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	longtest.SkipShort(t)
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "contacts.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, closing(t, store), nil)
	values := slices.Repeat([]any{json.Number("1")}, 10_000)
	large := map[string]any{"a": values}
	w.create(t, contacts.CreateContactInput{FirstName: "Ada", Email: "ada@example.com", CustomContext: large, IndustryContext: large})
	const count = 200 // contacts
	contact := `{"first_name":"Ada","email":"ada@example.com","tags":["vip"]}`
	body := `{"contacts":[` + strings.Repeat(contact+",", count-1) + contact + `]}`
	for _, action := range []contacts.DuplicateAction{contacts.DuplicateReturnExisting, contacts.DuplicateUpsert} {
		w.setPolicy(t, contacts.DuplicatePolicy{Action: action})
		before, allocated := live(), mallocs()
		results, err := w.svc.CreateContactsJSONSeq(t.Context(), w.writer, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if held := int64(live()) - int64(before); held > 4<<20 {
			t.Errorf("%s: the results hold %d bytes", action, held)
		}
		n := 0
		for r := range results {
			if r.Err != nil || len(r.Contact.CustomContext) != 1 || len(r.Contact.IndustryContext) != 1 {
				t.Fatalf("%s: result %d: %+v", action, n, r)
			}
			own, _ := r.Contact.CustomContext["a"].([]any)
			if len(own) != len(values) || own[0] != values[0] {
				t.Fatalf("%s: result %d is not the caller's own", action, n)
			}
			own[0], r.Contact.CustomContext["b"] = nil, true
			n++
		}
		if n != count {
			t.Errorf("%s: %d results", action, n)
		}
		if allocated = mallocs() - allocated; allocated > count*uint64(len(values)) {
			t.Errorf("%s: the numbers of the contexts were read for each result: %d objects were made", action, allocated)
		}
	}
}

// mallocs returns how many objects were made.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
