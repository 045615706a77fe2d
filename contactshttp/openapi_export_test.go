package contactshttp

import "slices"

// Describe returns the description of a handler with the default prefix.
func Describe(keyInQuery bool) []byte { return describe(defaultPrefix, keyInQuery) }

// Operations returns the query parameters and media types of each endpoint, by
// method and path after the prefix.
func Operations() map[string][]string {
	all := make(map[string][]string)
	for _, r := range new(handler).routes() {
		for method, e := range r.methods {
			takes := slices.Concat(e.parameters, e.media)
			slices.Sort(takes)
			all[method+" "+r.pattern] = takes
		}
	}
	return all
}
