package contactshttp

import (
	"net/http"
	"slices"
	"strings"
)

// maxKey bounds a key, in bytes. The tokens of other systems, which an
// Authenticator may take, fit too.
const maxKey = 16 << 10

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

// oneKey returns the key that was given, "" if all are blank. ok is false if two
// keys differ, or if one is longer than any key.
func oneKey(keys []string) (key string, ok bool) {
	for _, k := range keys {
		k = strings.TrimSpace(k)
		switch {
		case len(k) > maxKey:
			return "", false
		case k == "" || k == key:
		case key == "":
			key = k
		default:
			return "", false
		}
	}
	return key, true
}

// schemes are the names of schemes that an answer may repeat. Any other word in
// Authorization may be a key.
var schemes = []string{
	"Basic", "Digest", "DPoP", "GNAP", "HOBA", "Mutual", "Negotiate", "NTLM", "OAuth", "PrivateToken", "SCRAM-SHA-1", "SCRAM-SHA-256", "vapid",
	"ApiKey", "Api-Key", "Hawk", "JWT", "Key", "Token", "X-API-Key", // not registered, but in use
}

// noKey says what the request has in the place of a key, and which places are
// looked at. It never repeats what may be a key.
func (h *handler) noKey(r *http.Request) string {
	text := "no API key was provided"
	if seen := h.seenInstead(r); seen != "" {
		text += ": " + seen
	}
	text += "; send it as Authorization: Bearer KEY, or as X-API-Key: KEY"
	if h.keyInQuery {
		text += ", or as the parameter api_key"
	}
	return text
}

// seenInstead says what the request has in the place of a key; "": nothing.
func (h *handler) seenInstead(r *http.Request) string {
	for _, v := range r.Header.Values("Authorization") {
		scheme, _, more := strings.Cut(strings.TrimSpace(v), " ")
		known := slices.IndexFunc(schemes, func(s string) bool { return strings.EqualFold(s, scheme) })
		switch {
		case scheme == "":
		case strings.EqualFold(scheme, "Bearer"):
			return "Authorization has the scheme Bearer, and no key after it"
		case known >= 0:
			return "Authorization has the scheme " + schemes[known]
		case more:
			return "Authorization has another scheme than Bearer"
		default:
			return "Authorization has no scheme"
		}
	}
	if !h.keyInQuery && strings.Contains(r.URL.RawQuery, "api_key=") {
		return "the parameter api_key is not accepted here"
	}
	return ""
}
