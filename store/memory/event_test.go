package memory_test

import (
	"testing"

	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/internal/eventtest"
	"example.com/contacts/store/memory"
)

// A reader beside many writers gets every event once, in the order of its number.
func TestNoGapNoSkip(t *testing.T) {
	t.Parallel()
	w := eventtest.New(t, memory.New())
	eventtest.NoGapNoSkip(t, w, func() { eventtest.Many(t, longtest.Extent(40, 5000), w, w, w, w) })
}

// A host that stores the number of its last event with its data has all contacts
// in the end, although it dies over and over.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	w := eventtest.New(t, memory.New())
	deaths := longtest.Extent(8, 200)
	eventtest.ExactlyOnce(t, w, deaths, func() { eventtest.Many(t, 5*deaths, w, w, w, w) })
}

func TestEvents(t *testing.T) {
	t.Parallel()
	eventtest.Scenarios(t, memory.New(), longtest.Extent(40, 100))
}

func TestRetention(t *testing.T) {
	t.Parallel()
	eventtest.Retention(t, memory.New())
}

func TestEndedEventsGoWithLaterWrites(t *testing.T) {
	t.Parallel()
	eventtest.LaterWrites(t, memory.New())
}
