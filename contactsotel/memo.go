package contactsotel

import (
	"maps"
	"sync"
	"sync/atomic"
)

// A memo remembers what it has made for each key. It is for few keys that are
// asked for very often. Asking for one that is known takes no lock and allocates
// nothing. It is safe for concurrent use.
type memo[K comparable, V any] struct {
	make func(K) V

	mu    sync.Mutex // of those that add
	known atomic.Pointer[map[K]V]
}

func (m *memo[K, V]) of(key K) V {
	if v, ok := m.look(key); ok {
		return v
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.look(key); ok {
		return v
	}
	next := map[K]V{key: m.make(key)}
	if known := m.known.Load(); known != nil {
		maps.Copy(next, *known)
	}
	m.known.Store(&next)
	return next[key]
}

func (m *memo[K, V]) look(key K) (v V, ok bool) {
	if known := m.known.Load(); known != nil {
		v, ok = (*known)[key]
	}
	return v, ok
}
