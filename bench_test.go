package contacts_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"example.com/contacts"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/sqlite"
)

// BenchmarkCreateContact measures the whole call, from the key to the stored
// contact, with every field filled. BenchmarkParse is what to set it beside.
func BenchmarkCreateContact(b *testing.B) {
	b.Run("memory", func(b *testing.B) { benchmarkCreate(b, memory.New()) })
	b.Run("sqlite", func(b *testing.B) {
		store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "contacts.db"), nil)
		if err != nil {
			b.Fatal(err)
		}
		benchmarkCreate(b, store)
	})
}

func benchmarkCreate(b *testing.B, store contacts.Store) {
	w := newWorld(b, closing(b, store), nil)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := w.svc.CreateContact(b.Context(), w.key, benchmarkInput(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInput is what the input alone costs, to take off the others.
func BenchmarkInput(b *testing.B) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		_ = benchmarkInput(i)
	}
}

// BenchmarkParse is one call of the phone number parser.
func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := phonenumbers.Parse("+15551234567", ""); err != nil {
			b.Fatal(err)
		}
	}
}

var benchmarkTags = []string{"vip", "newsletter"}

// benchmarkInput is a full contact with numbers and an address of its own.
func benchmarkInput(i int) contacts.CreateContactInput {
	n := rand.Uint64()
	return contacts.CreateContactInput{
		FirstName: "John", LastName: "Doe", Email: fmt.Sprintf("john.%x@example.com", n), Company: "Acme Inc", Website: "https://example.com",
		Address: "123 Main St", City: "Springfield", State: "IL", ZipCode: "62701", Country: "US", Status: "contacted", Stage: "customer", TeamID: team,
		Tags: benchmarkTags,
		PhoneNumbers: []contacts.PhoneNumberInput{
			{PhoneNumber: fmt.Sprintf("+1%010d", 2_000_000_000+n%8_000_000_000), PhoneType: "mobile", Primary: true},
			{PhoneNumber: fmt.Sprintf("+49%010d", 3_000_000_000+n/8%7_000_000_000), PhoneType: "work"},
		},
		CustomContext:   map[string]any{"source": "web", "score": i},
		IndustryContext: map[string]any{"industry": "software"},
	}
}
