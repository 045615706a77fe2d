package contacts_test

import (
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"example.com/contacts"
)

func TestFoldSearchKnowsNoCase(t *testing.T) {
	t.Parallel()
	for c := rune(0x80); c <= 0x1ffff; c++ {
		// Letters whose other case is more than one letter, or has a dot of its
		// own, are the full folding's, not those of a single letter.
		if !unicode.IsLetter(c) || unicode.SimpleFold(c) == c || c == 'ı' || c == 'İ' {
			continue
		}
		for other := unicode.SimpleFold(c); other != c; other = unicode.SimpleFold(other) {
			if a, b := contacts.FoldSearch(string(c)), contacts.FoldSearch(string(other)); a != b {
				t.Errorf("%U becomes %q, and %U %q", c, a, other, b)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		once := contacts.FoldSearch(s)
		if twice := contacts.FoldSearch(once); twice != once {
			t.Fatalf("once %q, twice %q", once, twice)
		}
	})
}
