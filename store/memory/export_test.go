package memory

import "github.com/google/uuid"

// HoldAccount has every write to the account wait until release is called. Waits returns
// once one waits.
func (s *Store) HoldAccount(id uuid.UUID) (waits, release func()) {
	s.mu.RLock()
	a := s.accounts[id]
	s.mu.RUnlock()
	a.mu.RLock()
	waits = func() {
		for a.mu.TryRLock() { // until a writer waits
			a.mu.RUnlock()
		}
	}
	return waits, a.mu.RUnlock
}
