package contacts

// What the tests need of the inside.

// NormalisePhone is phoneRules.normalise.
func NormalisePhone(s, region string, validOnly bool) (e164, why string) {
	return phoneRules{region: region, validOnly: validOnly}.normalise(s)
}

// IsPossibleE164 is the fast path of NormalisePhone.
func IsPossibleE164(s string) bool { return isPossibleE164(s) }

// HashKey is hashKey.
func HashKey(key string) ([32]byte, bool) { return hashKey(key) }

// NewKey is newKey.
func NewKey(prefix string) string { return newKey(prefix) }

// MaxProblems is how many details an error has at most.
const MaxProblems = maxProblems
