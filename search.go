package contacts

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// SearchText returns the text that a search looks through: the words of the first
// and last name, the company and the e-mail address, in the form of [FoldSearch].
// No word has parts of two fields. Safe for concurrent use.
func (r *ContactRecord) SearchText() string {
	c := &r.Contact
	return FoldSearch(c.FirstName + " " + c.LastName + " " + c.Company + " " + c.Email)
}

// FoldSearch returns text in the form in which searches compare it: its words
// without accents and letter case, with one space between them. White space and
// commas end a word. A text without words is "".
//
// The words are in Unicode's compatibility decomposition and case folding,
// without nonspacing and enclosing marks and without format characters, which
// nobody sees. Latin letters that have no decomposition, such as ø and ł, and
// typographic quotes and dashes become ASCII. Safe for concurrent use.
func FoldSearch(s string) string {
	if !isASCII(s) {
		s = norm.NFKD.String(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	between := false // two words
	for _, c := range s {
		switch {
		case c == ',' || unicode.IsSpace(c):
			between = b.Len() > 0
			continue
		case c >= utf8.RuneSelf && unicode.In(c, unicode.Mn, unicode.Me, unicode.Cf):
			continue
		}
		if between {
			b.WriteByte(' ')
			between = false
		}
		switch {
		case 'A' <= c && c <= 'Z':
			b.WriteByte(byte(c) + 'a' - 'A')
		case c < utf8.RuneSelf:
			b.WriteByte(byte(c))
		default:
			// Upper case first: some letters share one, such as σ and ς.
			c = unicode.ToLower(unicode.ToUpper(c))
			if typed := asTyped(c); typed != "" {
				b.WriteString(typed)
			} else {
				b.WriteRune(c)
			}
		}
	}
	return b.String()
}

// asTyped returns a character in lower case as a keyboard without it has it, or
// "" if that is not known.
func asTyped(c rune) string {
	switch c {
	case 'ß':
		return "ss"
	case 'ø':
		return "o"
	case 'ł':
		return "l"
	case 'đ', 'ð':
		return "d"
	case 'ħ':
		return "h"
	case 'ŧ':
		return "t"
	case 'æ':
		return "ae"
	case 'œ':
		return "oe"
	case 'þ':
		return "th"
	case '‘', '’', 'ʼ':
		return "'"
	case '“', '”':
		return `"`
	case '\u2010', '–', '—', '−':
		return "-"
	}
	return ""
}

// SearchWords returns the words of Search, nil if there are none. Safe for
// concurrent use.
func (q *ContactQuery) SearchWords() []string { return strings.Fields(q.Search) }

// Matches reports whether the record matches the fields of the query, regardless
// of After, Skip, Limit, Shared and Position. It defines what the fields mean, and
// serves stores that look at records one by one. Safe for concurrent use.
func (q *ContactQuery) Matches(r *ContactRecord) bool {
	c := &r.Contact
	return c.AccountID == q.AccountID &&
		c.DeletedAt.IsZero() != q.Deleted &&
		(q.DeletedBefore.IsZero() || c.DeletedAt.Before(q.DeletedBefore)) &&
		(q.IDs == nil || slices.Contains(q.IDs, c.ID)) &&
		(q.MatchKeys == nil || slices.ContainsFunc(r.MatchKeys(), func(k MatchKey) bool { return slices.Contains(q.MatchKeys, k) })) &&
		(c.TeamID == 0 || q.AllTeams || slices.Contains(q.Teams, c.TeamID)) &&
		(q.TeamID == 0 || c.TeamID == q.TeamID) &&
		(q.Status == "" || c.Status == q.Status) &&
		(q.Stage == "" || c.Stage == q.Stage) &&
		(q.Email == "" || c.Email == q.Email) &&
		(q.ExternalID == "" || c.ExternalID == q.ExternalID) &&
		(q.Tag == "" || slices.Contains(c.Tags, q.Tag)) &&
		(q.PhoneNumber == "" || slices.ContainsFunc(c.PhoneNumbers, func(p PhoneNumber) bool { return p.PhoneNumber == q.PhoneNumber })) &&
		(q.UpdatedAfter.IsZero() || c.UpdatedAt.After(q.UpdatedAfter)) &&
		(q.Search == "" || r.hasWords(q.SearchWords()))
}

// hasWords reports whether each of the words is a part of the record's search
// text.
func (r *ContactRecord) hasWords(words []string) bool {
	text := r.SearchText()
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
}
