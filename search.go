package contacts

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// SearchText returns the text that a search looks through: first and last name,
// company and e-mail address, in the form of [FoldSearch]. The two names are one
// line, with a space between them even where one is absent. The others are a line
// each, so that no search matches across them. Safe for concurrent use.
func (r *ContactRecord) SearchText() string {
	c := &r.Contact
	return FoldSearch(c.FirstName + " " + c.LastName + "\n" + c.Company + "\n" + c.Email)
}

// FoldSearch returns text in the form in which searches compare it: in NFC, and
// without letter case by Unicode's full case folding. ASCII becomes lower case,
// like SQL's lower in the C locale. Safe for concurrent use.
func FoldSearch(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return norm.NFC.String(cases.Fold().String(strings.Map(upperCherokee, s)))
}

// upperCherokee makes Cherokee letters upper case, because Fold only swaps their
// two cases.
func upperCherokee(c rune) rune {
	if unicode.Is(unicode.Cherokee, c) {
		return unicode.ToUpper(c)
	}
	return c
}

// Matches reports whether the record matches the fields of the query, regardless
// of After, Skip and Limit. It defines what the fields mean, and serves stores
// that look at records one by one. Safe for concurrent use.
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
		(q.Tag == "" || slices.Contains(c.Tags, q.Tag)) &&
		(q.PhoneNumber == "" || slices.ContainsFunc(c.PhoneNumbers, func(p PhoneNumber) bool { return p.PhoneNumber == q.PhoneNumber })) &&
		(q.Search == "" || strings.Contains(r.SearchText(), q.Search))
}
