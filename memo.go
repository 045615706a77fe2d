package contacts

import "sync"

// knownSettings are the settings of accounts that a Service has read, and what follows
// from them.
type knownSettings struct {
	policies memo[string, DuplicatePolicy]
	events   memo[string, EventSettings]
	created  memo[eventOrigin, string] // the data of the event of a new contact
}

// A memo keeps values by what they are made of, as settings by their text. The
// settings of an account are needed with each call, and seldom change. The zero value
// remembers nothing yet. It is safe for concurrent use.
type memo[K comparable, V any] struct {
	mu    sync.RWMutex
	known map[K]V
}

// maxMemo bounds what a memo remembers.
const maxMemo = 10_000

// settingOf returns the setting of that name as parse reads it; the zero value: the
// account has none, as most do.
func settingOf[T any](a *AccountRecord, name string, parse func(string) (T, error)) (value T, err error) {
	text, ok := a.Settings[name]
	if !ok {
		return value, nil
	}
	return parse(text)
}

// setting returns the setting of that name as parse reads it, once for each text.
func setting[T any](m *memo[string, T], a *AccountRecord, name string, parse func(string) (T, error)) (T, error) {
	return settingOf(a, name, func(text string) (T, error) { return m.read(text, parse) })
}

// read returns what is made from the key; the caller must not change it. It calls from
// for a key that it does not know. Errors are not remembered.
func (m *memo[K, V]) read(key K, from func(K) (V, error)) (V, error) {
	m.mu.RLock()
	value, ok := m.known[key]
	m.mu.RUnlock()
	if ok {
		return value, nil
	}
	value, err := from(key)
	if err != nil {
		return value, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxMemo {
		m.known = make(map[K]V)
	}
	m.known[key] = value
	return value, nil
}
