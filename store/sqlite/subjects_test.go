//go:build cgo && unix

package sqlite_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/contacts"
)

// Look-ups that come together share one state of the file: each gets the entries of
// its account and subject, and sees what was written before it came.
func TestLookUpsShareAState(t *testing.T) {
	t.Parallel()
	s := open(t, storePath(t))
	const callers, rounds = 16, 6
	accounts := []uuid.UUID{mustAccount(t, s), mustAccount(t, s)}
	var wait sync.WaitGroup
	for caller := range callers {
		wait.Go(func() {
			account := accounts[caller%2]
			subject := [32]byte{7: byte(caller / 2), 31: 1} // the accounts have the same ones
			var want []string
			for round := range rounds {
				want = append(want, fmt.Sprintf(`"%d %d"`, caller, round))
				m := contacts.Mutation{AccountID: account, Journal: []contacts.JournalEntry{
					{Kind: contacts.JournalDoNotCall, Subject: subject, At: noon, Data: want[round]},
				}}
				if err := apply(t.Context(), s, m); err != nil {
					t.Error(err)
					return
				}
				for _, limit := range []int{10, round + 1, 1} { // with the last two there may be more
					q := contacts.JournalQuery{AccountID: account, Kind: contacts.JournalDoNotCall, Subjects: [][32]byte{{9}, subject}, Limit: limit}
					entries, err := s.ListJournal(t.Context(), q)
					var got []string
					for _, e := range entries {
						got = append(got, e.Data)
					}
					if diff := cmp.Diff(want[:min(limit, len(want))], got); err != nil || diff != "" {
						t.Errorf("caller %d, limit %d: %v (-want +got):\n%s", caller, limit, err, diff)
					}
				}
			}
		})
	}
	wait.Wait()
}
