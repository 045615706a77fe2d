package memory

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts"
)

// BenchmarkJournalOfASubject takes the same time whatever the journal has of others.
func BenchmarkJournalOfASubject(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint("entries=", n), func(b *testing.B) {
			s := New()
			defer s.Close()
			m := contacts.Mutation{AccountID: uuid.Must(uuid.NewV7())}
			if _, err := s.AddToDirectory(b.Context(), contacts.Directory{Accounts: []contacts.Account{{ID: m.AccountID}}}); err != nil {
				b.Fatal(err)
			}
			for i := range n {
				e := contacts.JournalEntry{Kind: contacts.JournalDoNotCall, Data: "{}"}
				binary.BigEndian.PutUint32(e.Subject[:], uint32(i))
				m.Journal = append(m.Journal, e)
			}
			if outcomes, err := s.Apply(b.Context(), contacts.MutationBatch{Mutations: []contacts.Mutation{m}}); outcomes != nil || err != nil {
				b.Fatal(outcomes, err)
			}
			q := contacts.JournalQuery{AccountID: m.AccountID, Kind: contacts.JournalDoNotCall, Subjects: [][32]byte{m.Journal[n/2].Subject}, Limit: 100}
			b.ReportAllocs()
			for b.Loop() {
				if entries, err := s.ListJournal(b.Context(), q); len(entries) != 1 || err != nil {
					b.Fatal(entries, err)
				}
			}
		})
	}
}
