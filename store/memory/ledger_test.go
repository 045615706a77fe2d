package memory_test

import (
	"testing"

	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/ledgertest"
	"example.com/contacts/store/memory"
)

func TestNothingClears(t *testing.T) {
	t.Parallel()
	ledgertest.NothingClears(t, memory.New(), longtest.Extent(5, 150))
}

func TestBornListed(t *testing.T) {
	t.Parallel()
	ledgertest.BornListed(t, memory.New())
}

func TestLedger(t *testing.T) {
	t.Parallel()
	ledgertest.Scenarios(t, memory.New())
}

func TestFailClosed(t *testing.T) {
	t.Parallel()
	ledgertest.FailClosed(t, memory.New())
}

func TestForms(t *testing.T) {
	t.Parallel()
	ledgertest.Forms(t, memory.New())
}

func TestNoHalfIsSeen(t *testing.T) {
	t.Parallel()
	ledgertest.NoHalfIsSeen(t, memory.New())
}

func TestRotateSecrets(t *testing.T) {
	t.Parallel()
	ledgertest.RotateSecrets(t, memory.New())
}

func TestSequence(t *testing.T) {
	t.Parallel()
	ledgertest.Sequence(t, memory.New())
}
