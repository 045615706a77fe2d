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

// IsPlainWebsite is the fast path of WhyNoWebsite.
func IsPlainWebsite(s string) bool { return isPlainWebsite(s) }

// WhyNoWebsite is whyNoWebsite for a URL that was given with its scheme.
func WhyNoWebsite(s string) string { return whyNoWebsite(s, false) }

// MaxProblems is how many details an error has at most.
const MaxProblems = maxProblems

// The form of cursors.
var (
	EncodeCursor = encodeCursor
	DecodeCursor = decodeCursor
)

// RedactEvent is redactEvent.
func RedactEvent(data string) (string, error) { return redactEvent(data) }
