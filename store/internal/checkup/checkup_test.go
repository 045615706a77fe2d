package checkup_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"example.com/contacts/store/internal/checkup"
)

// A finding about numbers names the entry, and says in which way they disagree.
func TestWrongNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n        checkup.Numbering
		sequence int64
		says     string
	}{
		{checkup.Numbering{Lowest: 0, Highest: 5, Newest: 5}, 0, "the number 0, which is below 1"},
		{checkup.Numbering{Lowest: 1, Highest: 5, Newest: 4}, 5, "has the number 5, and the account says 4"},
		{checkup.Numbering{Lowest: 1, Highest: 4, Newest: 5}, 5, "number 5, is gone: the last one that is there has the number 4"},
		{checkup.Numbering{Lowest: 1, Highest: 0, Newest: 5}, 5, "number 5, is gone, and no other is there"},
		{checkup.Numbering{Lowest: 1, Highest: 5, Lost: true}, 5, "the account does not say"},
		{checkup.Numbering{Lowest: 1, Lost: true}, 0, "the account does not say"},
	} {
		account := uuid.New()
		f := c.n.Wrong(account)
		if f.AccountID != account || f.Sequence != c.sequence || !strings.Contains(f.Message, c.says) || f.Advice == "" {
			t.Errorf("%+v: got %+v, want the sequence %d and a message with %q", c.n, f, c.sequence, c.says)
		}
	}
}
