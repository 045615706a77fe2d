package contacts

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// The documented defaults.
const (
	defaultCountry = "US"
	defaultStatus  = "not_contacted"
	defaultStage   = "lead"
)

// rules turn an input into a record. All validation and normalisation is theirs.
// What they return they take unchanged.
type rules struct {
	limits                       Limits
	phones                       phoneRules
	statuses, stages, phoneTypes []string
	allowUnknown                 bool

	buffers sync.Pool // of *[]byte, in which contexts are encoded
}

// A draft is a contact on its way to the store. Its record keeps the contexts as
// text, and the caller gets them as forms.
type draft struct {
	record *ContactRecord
	forms  freeformForms
}

// load reads the forms of the contexts that the draft does not have.
func (d *draft) load() (damaged *DamagedError) { return d.loadWith(new(jsonReader)) }

// loadWith is load for many drafts, one after the other.
func (d *draft) loadWith(reader *jsonReader) (damaged *DamagedError) {
	r := d.record
	var err error
	if d.forms.custom == nil {
		d.forms.custom, err = reader.freeform("custom_context", r.CustomContext)
	}
	if err == nil && d.forms.industry == nil {
		d.forms.industry, err = reader.freeform("industry_context", r.IndustryContext)
	}
	if err != nil {
		return &DamagedError{r.Contact.ID, err}
	}
	return nil
}

// sameForms returns the forms of the contexts that a record has in common with the
// draft: they need not be read again.
func (d *draft) sameForms(r *ContactRecord) (same freeformForms) {
	if d.record.CustomContext == r.CustomContext {
		same.custom = d.forms.custom
	}
	if d.record.IndustryContext == r.IndustryContext {
		same.industry = d.forms.industry
	}
	return same
}

// contact returns the contact of a draft that was stored.
func (d *draft) contact() *Contact {
	c := &d.record.Contact
	c.CustomContext, c.IndustryContext = d.forms.custom, d.forms.industry
	return c
}

// contact normalises the input into a record without ids and times, and reports
// everything that is wrong with it. own says that the contexts of the input are in
// the types that JSON has, and that nobody else has them: the draft takes them as
// they are.
func (r *rules) contact(in *CreateContactInput, own bool, bad *problems) draft {
	d := draft{record: new(ContactRecord)}
	c := &d.record.Contact
	given, normalised := in.texts(), c.texts()
	for i := range textFields {
		*normalised[i] = textFields[i].rule(r, *given[i], bad)
	}
	c.TeamID = teamID(in.TeamID, bad)
	c.Tags = r.tags(in.Tags, "tags", bad)
	c.PhoneNumbers = r.phoneNumbers(in.PhoneNumbers, bad)
	r.contexts(in, own, &d, bad)
	return d
}

func (r *rules) firstName(s string, bad *problems) string {
	s = text(s, "first_name", r.limits.Name, bad)
	// A name that shows nothing is as blank as one of spaces.
	if !isShown(s) && !bad.has("first_name") {
		bad.add("first_name", FieldRequired, "is required")
	}
	return s
}

func teamID(id int64, bad *problems) int64 {
	if id < 0 {
		bad.add("team_id", FieldInvalid, "must be a positive number")
	}
	return id
}

// word is text of a vocabulary, with its default. A nil vocabulary is open.
func word(s, field string, limit int, vocabulary []string, def string, bad *problems) string {
	s = termText(s, field, limit, bad)
	if s == "" || s == def {
		return def
	}
	if vocabulary != nil && !slices.Contains(vocabulary, s) {
		bad.add(field, FieldNotAllowed, "must be one of "+strings.Join(vocabulary, ", "))
	}
	return s
}

// country upper-cases what looks like the two letters of ISO 3166.
func (r *rules) country(s string, bad *problems) string {
	s = text(s, "country", r.limits.Country, bad)
	switch {
	case s == "":
		return defaultCountry
	case len(s) == 2 && isASCIILetter(s[0]) && isASCIILetter(s[1]):
		return strings.ToUpper(s)
	default:
		return s
	}
}

// defaulted returns which of the parameters get a default because the input leaves
// them blank. Phone numbers get the mark of the primary one.
func (in *CreateContactInput) defaulted() (fields fieldSet) {
	blank := func(form func(string, string, int, *problems) string, s string) bool {
		return s == "" || !isPlain(s) && form(s, "", maxLimit, new(problems)) == ""
	}
	if blank(text, in.Country) {
		fields |= countryField
	}
	if blank(termText, in.Status) {
		fields |= statusField
	}
	if blank(termText, in.Stage) {
		fields |= stageField
	}
	if !slices.ContainsFunc(in.PhoneNumbers, func(p PhoneNumberInput) bool { return p.Primary }) {
		fields |= phoneNumbersField
	}
	return fields
}

func (r *rules) status(s string, bad *problems) string {
	return word(s, "status", r.limits.Status, r.statuses, defaultStatus, bad)
}

func (r *rules) stage(s string, bad *problems) string {
	return word(s, "stage", r.limits.Stage, r.stages, defaultStage, bad)
}

const emailForm = "must be one bare address such as name@example.com"

// email takes the form of HTML's input type=email, with the lengths of RFC 5321
// and the internationalised addresses of RFC 6531.
func (r *rules) email(s string, bad *problems) string {
	if s = termText(s, "email", r.limits.Email, bad); s == "" {
		return ""
	}
	if !isASCII(s) {
		// Keyboards of East Asia write letters, dot and @ in full width.
		s = norm.NFC.String(width.Fold.String(s))
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		bad.add("email", FieldInvalid, emailForm)
		return ""
	}
	local, host := s[:at], s[at+1:]
	lower, ok := domain(host)
	if !ok || !isLocalPart(local) || !isMailDomain(lower) {
		bad.add("email", FieldInvalid, whyNoEmail(local, host))
		return ""
	}
	if len(local) > 64 {
		bad.add("email", FieldTooLong, "must have at most 64 bytes before the @")
		return ""
	}
	if lower != host {
		s = local + "@" + lower
	}
	if len(s) > r.limits.Email {
		bad.add("email", FieldTooLong, fmt.Sprintf("must have at most %d bytes", r.limits.Email))
		return ""
	}
	return s
}

// isLocalPart reports whether s is an address's part before the @: the atoms of
// HTML, beyond ASCII the letters and digits of any script.
func isLocalPart(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool { return !isLocalCharacter(c) })
}

// isLocalCharacter refuses other forms of ASCII, such as bold letters: two
// addresses that look the same must be the same.
func isLocalCharacter(c rune) bool {
	if c < utf8.RuneSelf {
		return isAlphanumeric(byte(c)) || strings.ContainsRune(".!#$%&'*+/=?^_`{|}~-", c)
	}
	return unicode.In(c, unicode.L, unicode.M, unicode.N) &&
		!unicode.In(c, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) &&
		!isASCII(norm.NFKC.String(string(c)))
}

// isMailDomain reports whether a host name in lower case may be that of an
// address: its last part is no number, and no part has an underscore.
func isMailDomain(host string) bool {
	top := host[strings.LastIndexByte(host, '.')+1:]
	hex, isHex := strings.CutPrefix(top, "0x")
	return strings.ContainsFunc(top, func(c rune) bool { return !unicode.IsDigit(c) }) &&
		!(isHex && strings.Trim(hex, "0123456789abcdef") == "") &&
		!strings.Contains(host, "_") &&
		(!strings.Contains(host, "xn--") || isEncodedDomain(host))
}

// isEncodedDomain reports whether the encoded names of a domain (xn--…) stand for
// names.
func isEncodedDomain(host string) bool {
	_, err := internationalDomain.ToUnicode(host)
	return err == nil
}

// whyNoEmail says what is wrong with an address.
func whyNoEmail(local, host string) string {
	if local == "" || host == "" || strings.ContainsAny(local+host, " <>()[],;:\"\\@") {
		return emailForm
	}
	for _, c := range local {
		if !isLocalCharacter(c) {
			return "must hold no " + characterName(c) + " before the @"
		}
	}
	for _, c := range host {
		if c < utf8.RuneSelf && !isAlphanumeric(byte(c)) && c != '.' && c != '-' {
			return "must hold no " + characterName(c) + " after the @"
		}
	}
	if !isLocalPart(local) {
		return "must hold no dot at the start, before the @, or after another dot"
	}
	return "must have a domain that can exist after the @, such as example.com"
}

// internationalDomain maps and checks names beyond ASCII, as a browser does
// before it looks them up (UTS 46). ASCII is for domain to check.
var internationalDomain = idna.New(
	idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false), idna.VerifyDNSLength(true))

// domain returns a host name in lower case, and false for what is none. Names
// beyond ASCII keep their letters. Names of web sites may have underscores.
func domain(s string) (lower string, ok bool) {
	international := !isASCII(s)
	if international {
		if _, err := internationalDomain.ToASCII(s); err != nil {
			return "", false
		}
		mapped, err := internationalDomain.ToUnicode(s)
		if err != nil {
			return "", false
		}
		s = mapped
		international = !isASCII(s) // else full-width letters, say
	}
	if !international && len(s) > 253 {
		return "", false
	}
	for start, i := 0, 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if c := s[i]; c < utf8.RuneSelf && !isAlphanumeric(c) && c != '-' && c != '_' {
				return "", false
			}
			continue
		}
		label := s[start:i]
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' || !international && len(label) > 63 {
			return "", false
		}
		start = i + 1
	}
	if international {
		return s, true
	}
	return strings.ToLower(s), true
}

// website takes an http or https URL with a host and without user information;
// a bare domain gets https://.
func (r *rules) website(s string, bad *problems) string {
	if s = termText(s, "website", r.limits.Website, bad); s == "" {
		return ""
	}
	scheme := strings.Index(s, "://")
	bare := scheme < 0 || strings.ContainsAny(s[:scheme], "/?#")
	if bare {
		s = "https://" + s
	}
	if bare || !isPlainWebsite(s) {
		if why := whyNoWebsite(s, bare); why != "" {
			bad.add("website", FieldInvalid, why)
			return ""
		}
	}
	if len(s) > r.limits.Website {
		bad.add("website", FieldTooLong, fmt.Sprintf("must have at most %d bytes", r.limits.Website))
		return ""
	}
	return s
}

// isPlainWebsite is the fast path of whyNoWebsite: it knows the URLs in which
// nothing is left to parse.
func isPlainWebsite(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(s, "http://"); !ok {
			return false
		}
	}
	end := len(rest) // of the host
	for i, c := range []byte(rest) {
		switch c {
		case '/', '?', '#':
			end = min(end, i)
		case ' ', '%', '\\':
			return false
		}
	}
	_, ok = domain(rest[:end])
	return ok && isPlain(rest)
}

func whyNoWebsite(s string, bare bool) string {
	// A browser reads a backslash as a slash, and so may see another host.
	if strings.ContainsFunc(s, unicode.IsSpace) || strings.Contains(s, `\`) {
		return "must hold no spaces and no backslashes"
	}
	u, err := url.Parse(s)
	if err != nil {
		return "must be a URL"
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "must start with http:// or https://"
	}
	if u.User != nil {
		return "must hold no user name and no password"
	}
	host := u.Hostname()
	if strings.HasPrefix(u.Host, "[") {
		if a, err := netip.ParseAddr(host); err != nil || a.Zone() != "" {
			return "must have a host"
		}
	} else if _, ok := domain(strings.TrimSuffix(host, ".")); !ok || bare && !strings.Contains(host, ".") {
		return "must have a host such as example.com"
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return "must have a port between 1 and 65535"
		}
	}
	return ""
}

// tags are trimmed and kept in order, without repeats.
func (r *rules) tags(in []string, field string, bad *problems) []string {
	if len(in) == 0 {
		return nil
	}
	out := make([]string, 0, min(len(in), r.limits.Tags))
	var seen map[string]struct{} // only where there are many
	for i, tag := range in {
		if bad.full() {
			break
		}
		found := len(bad.list)
		if !isPlain(tag) || len(tag) > r.limits.Tag {
			tag = normaliseText(tag, element(field, i), r.limits.Tag, term, bad)
		}
		if tag == "" {
			if len(bad.list) == found && !bad.has(element(field, i)) {
				bad.add(element(field, i), FieldRequired, "must not be empty")
			}
			continue
		}
		if seen == nil && len(out) >= 16 {
			seen = make(map[string]struct{}, r.limits.Tags)
			for _, t := range out {
				seen[t] = struct{}{}
			}
		}
		if seen != nil {
			if _, ok := seen[tag]; ok {
				continue
			}
			seen[tag] = struct{}{}
		} else if slices.Contains(out, tag) {
			continue
		}
		if len(out) == r.limits.Tags {
			r.tooManyTags(field, bad)
			break
		}
		out = append(out, tag)
	}
	return out
}

func (r *rules) tooManyTags(field string, bad *problems) {
	bad.add(field, FieldTooMany, fmt.Sprintf("must be at most %d", r.limits.Tags))
}

// phoneNumbers normalises the phone numbers of a contact.
func (r *rules) phoneNumbers(in []PhoneNumberInput, bad *problems) []PhoneNumber {
	if len(in) == 0 || r.tooManyPhoneNumbers(len(in), bad) {
		return nil
	}
	out := make([]PhoneNumber, len(in))
	for i, p := range in {
		out[i] = PhoneNumber{
			PhoneNumber: r.phoneNumber(i, p.PhoneNumber, bad),
			PhoneType:   r.phoneType(i, p.PhoneType, bad),
			Primary:     p.Primary,
			DoNotCall:   p.DoNotCall,
		}
	}
	checkPhoneNumbers(out, bad)
	return out
}

func (r *rules) tooManyPhoneNumbers(n int, bad *problems) bool {
	if n <= r.limits.PhoneNumbers {
		return false
	}
	bad.add("phone_numbers", FieldTooMany, fmt.Sprintf("must be at most %d", r.limits.PhoneNumbers))
	return true
}

// checkPhoneNumbers refuses a number that occurs twice and a second primary one.
// Without a primary one the first becomes it.
func checkPhoneNumbers(phones []PhoneNumber, bad *problems) {
	primary := -1
	for i := range phones {
		p := &phones[i]
		for j := range phones[:i] {
			if p.PhoneNumber != "" && phones[j].PhoneNumber == p.PhoneNumber {
				bad.add(element("phone_numbers", i)+".phone_number", FieldDuplicate, fmt.Sprintf("is the same number as phone_numbers[%d]", j))
				break
			}
		}
		switch {
		case !p.Primary:
		case primary >= 0:
			bad.add(element("phone_numbers", i)+".primary", FieldDuplicate, fmt.Sprintf("must not be true, because phone_numbers[%d] is primary", primary))
		default:
			primary = i
		}
	}
	if primary < 0 && len(phones) > 0 {
		phones[0].Primary = true
	}
}

// phoneNumber normalises the number at place i.
func (r *rules) phoneNumber(i int, number string, bad *problems) string {
	e164, why := r.phones.normalise(number)
	if why != "" {
		refuseNumber(element("phone_numbers", i)+".phone_number", number, why, bad)
	}
	return e164
}

// refuseNumber adds why a number is refused, unless the field is wrong already.
func refuseNumber(field, number, why string, bad *problems) {
	switch {
	case bad.has(field):
	case trim(number) == "":
		bad.add(field, FieldRequired, "is required")
	default:
		bad.add(field, FieldInvalid, why)
	}
}

func (r *rules) phoneType(i int, s string, bad *problems) string {
	if isPlain(s) && len(s) <= r.limits.PhoneType && r.phoneTypes == nil {
		return s
	}
	return word(s, element("phone_numbers", i)+".phone_type", r.limits.PhoneType, r.phoneTypes, "", bad)
}
