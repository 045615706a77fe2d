package contactshttp

import "slices"

// Operations returns what a handler has behind its prefix, by method and path: the
// parameters of the query and the media types that it takes.
func Operations() map[string][]string {
	all := make(map[string][]string)
	for _, r := range new(handler).routes() {
		for method, op := range r.methods {
			takes := slices.Concat(op.parameters, op.media)
			slices.Sort(takes)
			all[method+" "+r.pattern] = takes
		}
	}
	return all
}
