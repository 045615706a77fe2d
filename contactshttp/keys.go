package contactshttp

import (
	"net/http"
	"strings"
)

// headerKeys returns the keys in the headers: bearer tokens of Authorization, and
// X-API-Key. The scheme may be in any case (RFC 6750, section 2.1; RFC 9110,
// section 11.1). Other schemes of Authorization are no keys.
func headerKeys(h http.Header) []string {
	var keys []string
	for _, v := range h.Values("Authorization") {
		if scheme, token, _ := strings.Cut(strings.TrimSpace(v), " "); strings.EqualFold(scheme, "Bearer") {
			keys = append(keys, token)
		}
	}
	return append(keys, h.Values("X-API-Key")...)
}

// oneKey returns the key that was given, "" if all are blank. agree is false if
// two keys differ.
func oneKey(keys []string) (key string, agree bool) {
	for _, k := range keys {
		k = strings.TrimSpace(k)
		switch {
		case k == "" || k == key:
		case key == "":
			key = k
		default:
			return "", false
		}
	}
	return key, true
}
