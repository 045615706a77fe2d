// Package gate lets the calls of a store in until it is closed, and lets Close
// wait for them.
package gate

import (
	"sync"

	"example.com/contacts"
)

// A Gate counts the calls under way. The zero value is open. It is safe for
// concurrent use and must not be copied. A call begins with
//
//	if err := s.gate.Enter(); err != nil {
//		return err
//	}
//	defer s.gate.Leave()
type Gate struct {
	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // only mu's holder adds to it
	once   sync.Once
}

// Enter lets a call in, which must end with Leave. After Close has begun it
// returns [contacts.ErrClosed].
func (g *Gate) Enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return contacts.ErrClosed
	}
	g.calls.Add(1)
	return nil
}

// Leave ends a call.
func (g *Gate) Leave() { g.calls.Done() }

// Close lets no more calls in, waits for those under way, and returns what finish
// returns. Every later Close, and every one at the same time, waits for the first
// and returns nil.
func (g *Gate) Close(finish func() error) (err error) {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.once.Do(func() {
		g.calls.Wait()
		err = finish()
	})
	return err
}
