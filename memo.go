package contacts

import "sync"

// knownSettings are the settings of accounts that a Service has read.
type knownSettings struct {
	policies memo[DuplicatePolicy]
	events   memo[EventSettings]
}

// A memo keeps parsed settings by their text. The settings of an account are needed
// with each call, and seldom change. The zero value remembers nothing yet. It is
// safe for concurrent use.
type memo[T any] struct {
	mu    sync.RWMutex
	known map[string]T
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

// setting is settingOf for what the memo remembers.
func (m *memo[T]) setting(a *AccountRecord, name string, parse func(string) (T, error)) (T, error) {
	return settingOf(a, name, func(text string) (T, error) { return m.read(text, parse) })
}

// read returns the parsed text, which the caller must not change. It calls parse for a
// text that it does not know. Errors are not remembered.
func (m *memo[T]) read(text string, parse func(string) (T, error)) (T, error) {
	m.mu.RLock()
	value, ok := m.known[text]
	m.mu.RUnlock()
	if ok {
		return value, nil
	}
	value, err := parse(text)
	if err != nil {
		return value, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxMemo {
		m.known = make(map[string]T)
	}
	m.known[text] = value
	return value, nil
}
