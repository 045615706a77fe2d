package contacts_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.com/contacts"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestTextIsNormalised(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for _, c := range []struct {
		name string
		in   contacts.CreateContactInput
		got  func(*contacts.Contact) string
		want string
	}{
		{"trimmed", contacts.CreateContactInput{FirstName: "\u00a0\t John \r\n"}, firstName, "John"},
		{"composed", contacts.CreateContactInput{FirstName: "Jose\u0301"}, firstName, "José"},
		{"trimmed after composition", contacts.CreateContactInput{FirstName: "John\u2000"}, firstName, "John"},
		{"case stands", contacts.CreateContactInput{FirstName: "mCdONALD"}, firstName, "mCdONALD"},
		{"inner space stands", contacts.CreateContactInput{FirstName: "Mary  Ann"}, firstName, "Mary  Ann"},
		{"emoji", contacts.CreateContactInput{FirstName: "👩‍👩‍👧"}, firstName, "👩‍👩‍👧"},
		{"hundred characters of three bytes", contacts.CreateContactInput{FirstName: strings.Repeat("猫", 100)}, firstName, strings.Repeat("猫", 100)},
		{"hundred characters that were two hundred", contacts.CreateContactInput{FirstName: strings.Repeat("e\u0301", 100)}, firstName, strings.Repeat("é", 100)},
		{"compatibility ideograph", contacts.CreateContactInput{FirstName: "神\ufa19e\u0301"}, firstName, "神\ufa19é"},
		{"compatibility ideograph of the supplement", contacts.CreateContactInput{FirstName: "x", Address: "\U0002f800\ne\u0301\ufa19"}, func(c *contacts.Contact) string { return c.Address }, "\U0002f800\né\ufa19"},
		{"compatibility ideograph in a stage", contacts.CreateContactInput{FirstName: "x", Stage: "\ufa19"}, func(c *contacts.Contact) string { return c.Stage }, "神"},
		{"hidden characters around a name", contacts.CreateContactInput{FirstName: "\ufeff\u202a \u200bAnna\u2060\u00ad\u200e \u202c\u2069"}, firstName, "Anna"},
		{"hidden characters around a company", contacts.CreateContactInput{FirstName: "x", Company: "\u2067Acme\u2069"}, func(c *contacts.Contact) string { return c.Company }, "Acme"},
		{"hidden characters around an address", contacts.CreateContactInput{FirstName: "x", Address: "\u200ba\nb\ufeff"}, func(c *contacts.Contact) string { return c.Address }, "a\nb"},
		{"hidden characters around a country", contacts.CreateContactInput{FirstName: "x", Country: "it\u200b"}, country, "IT"},
		{"joiners in a name", contacts.CreateContactInput{FirstName: "علی\u200cرضا ශ්\u200dරී"}, firstName, "علی\u200cرضا ශ්\u200dරී"},
		{"zero width space in a name", contacts.CreateContactInput{FirstName: "An\u200bna"}, firstName, "An\u200bna"},
		{"letter and its mark", contacts.CreateContactInput{FirstName: "ก\u0e34"}, firstName, "ก\u0e34"},
		{"hidden characters in a stage", contacts.CreateContactInput{FirstName: "x", Stage: "cus\u200btomer\u200b"}, func(c *contacts.Contact) string { return c.Stage }, "customer"},
		{"hidden characters in a status", contacts.CreateContactInput{FirstName: "x", Status: "\ufeffcal\u00adled"}, func(c *contacts.Contact) string { return c.Status }, "called"},
		{"stage that shows nothing", contacts.CreateContactInput{FirstName: "x", Stage: "\u200b\u3164"}, func(c *contacts.Contact) string { return c.Stage }, "lead"},
		{"hidden characters in a tag", contacts.CreateContactInput{FirstName: "x", Tags: []string{"\ufeffv\u200bip"}}, func(c *contacts.Contact) string { return c.Tags[0] }, "vip"},
		{"emoji of several in a tag", contacts.CreateContactInput{FirstName: "x", Tags: []string{"👩‍👩‍👧"}}, func(c *contacts.Contact) string { return c.Tags[0] }, "👩‍👩‍👧"},
		{"hidden characters in a phone type", contacts.CreateContactInput{FirstName: "x", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567", PhoneType: "mo\u200bbile\u200e"}}}, func(c *contacts.Contact) string { return c.PhoneNumbers[0].PhoneType }, "mobile"},
		{"hidden characters in an e-mail address", contacts.CreateContactInput{FirstName: "x", Email: "\u200bbob\u00ad@exam\u200bple.com\u202c"}, email, "bob@example.com"},
		{"hidden characters in a website", contacts.CreateContactInput{FirstName: "x", Website: "\u202ahttps://exam\u00adple.com/a\u200bb\u200b"}, website, "https://example.com/ab"},
		{"line break in an address", contacts.CreateContactInput{FirstName: "x", Address: "a\r\nb\n"}, func(c *contacts.Contact) string { return c.Address }, "a\r\nb"},
		{"country in two letters", contacts.CreateContactInput{FirstName: "x", Country: "it"}, country, "IT"},
		{"country in words", contacts.CreateContactInput{FirstName: "x", Country: "italy"}, country, "italy"},
		{"country of two other letters", contacts.CreateContactInput{FirstName: "x", Country: "éé"}, country, "éé"},
		{"blank country", contacts.CreateContactInput{FirstName: "x", Country: " "}, country, "US"},
		{"status of one's own", contacts.CreateContactInput{FirstName: "x", Status: "waiting"}, func(c *contacts.Contact) string { return c.Status }, "waiting"},
		{"stage of one's own", contacts.CreateContactInput{FirstName: "x", Stage: " Hot "}, func(c *contacts.Contact) string { return c.Stage }, "Hot"},
		{"domain in lower case", contacts.CreateContactInput{FirstName: "x", Email: " John.Doe+tag@EXAMPLE.Co.UK "}, email, "John.Doe+tag@example.co.uk"},
		{"international domain", contacts.CreateContactInput{FirstName: "x", Email: "info@BÜCHER.example"}, email, "info@bücher.example"},
		{"local part of 64 bytes", contacts.CreateContactInput{FirstName: "x", Email: strings.Repeat("x", 64) + "@example.com"}, email, strings.Repeat("x", 64) + "@example.com"},
		{"full-width letters in an address", contacts.CreateContactInput{FirstName: "x", Email: "ｔａｒｏ@example.com"}, email, "taro@example.com"},
		{"full-width address", contacts.CreateContactInput{FirstName: "x", Email: "ｔａｒｏ．ｙ＠ｅｘａｍｐｌｅ．ｃｏｍ"}, email, "taro.y@example.com"},
		{"half-width katakana in an address", contacts.CreateContactInput{FirstName: "x", Email: "ｶﾞ@example.com"}, email, "ガ@example.com"},
		{"domain with a number in front", contacts.CreateContactInput{FirstName: "x", Email: "bob@1.2.3.4.example"}, email, "bob@1.2.3.4.example"},
		{"top level with a digit", contacts.CreateContactInput{FirstName: "x", Email: "root@host1"}, email, "root@host1"},
		{"international local part", contacts.CreateContactInput{FirstName: "x", Email: "jürgen@example.com"}, email, "jürgen@example.com"},
		{"encoded domain", contacts.CreateContactInput{FirstName: "x", Email: "bob@XN--bcher-kva.example"}, email, "bob@xn--bcher-kva.example"},
		{"one label", contacts.CreateContactInput{FirstName: "x", Email: "root@localhost"}, email, "root@localhost"},
		{"bare domain", contacts.CreateContactInput{FirstName: "x", Website: "Example.com/Path?q#f"}, website, "https://Example.com/Path?q#f"},
		{"bare domain and port", contacts.CreateContactInput{FirstName: "x", Website: "example.com:8080"}, website, "https://example.com:8080"},
		{"http stays", contacts.CreateContactInput{FirstName: "x", Website: "http://localhost:8080/"}, website, "http://localhost:8080/"},
		{"scheme in capitals", contacts.CreateContactInput{FirstName: "x", Website: "HTTPS://example.com"}, website, "HTTPS://example.com"},
		{"bare domain and a URL in its query", contacts.CreateContactInput{FirstName: "x", Website: "example.com/?next=https://a.example"}, website, "https://example.com/?next=https://a.example"},
		{"host with its final dot", contacts.CreateContactInput{FirstName: "x", Website: "https://example.com./"}, website, "https://example.com./"},
		{"international host", contacts.CreateContactInput{FirstName: "x", Website: "bücher.example"}, website, "https://bücher.example"},
		{"host with underscores", contacts.CreateContactInput{FirstName: "x", Website: "https://my_sarisari_store.typepad.com/"}, website, "https://my_sarisari_store.typepad.com/"},
		{"bare host with underscores", contacts.CreateContactInput{FirstName: "x", Website: "_a_.example.com"}, website, "https://_a_.example.com"},
		{"international host with underscores", contacts.CreateContactInput{FirstName: "x", Website: "http://my_shop.bücher.example/"}, website, "http://my_shop.bücher.example/"},
		{"address of IPv4", contacts.CreateContactInput{FirstName: "x", Website: "https://192.0.2.1/"}, website, "https://192.0.2.1/"},
		{"address of IPv6", contacts.CreateContactInput{FirstName: "x", Website: "https://[2001:db8::1]:443/"}, website, "https://[2001:db8::1]:443/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.got(w.create(t, c.in)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func firstName(c *contacts.Contact) string { return c.FirstName }
func country(c *contacts.Contact) string   { return c.Country }
func email(c *contacts.Contact) string     { return c.Email }
func website(c *contacts.Contact) string   { return c.Website }

func TestWrongFieldIsNamedWithTheReason(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	long := func(n int) string { return strings.Repeat("x", n) }
	phones := func(numbers ...contacts.PhoneNumberInput) contacts.CreateContactInput {
		return contacts.CreateContactInput{FirstName: "x", PhoneNumbers: numbers}
	}
	number := func(s string) contacts.PhoneNumberInput { return contacts.PhoneNumberInput{PhoneNumber: s} }
	primary := func(s string) contacts.PhoneNumberInput {
		return contacts.PhoneNumberInput{PhoneNumber: s, Primary: true}
	}
	numbers := make([]contacts.PhoneNumberInput, 51)
	tags := make([]string, 101)
	for i := range tags {
		tags[i] = itoa(i)
	}
	type in = contacts.CreateContactInput
	for _, c := range []struct {
		name, field, code string
		in                contacts.CreateContactInput
	}{
		{"no first name", "first_name", contacts.FieldRequired, in{}},
		{"blank first name", "first_name", contacts.FieldRequired, in{FirstName: " \t\u2003"}},
		{"invisible first name", "first_name", contacts.FieldRequired, in{FirstName: "\u200b\u2060"}},
		{"Hangul filler for a first name", "first_name", contacts.FieldRequired, in{FirstName: "\u3164"}},
		{"fillers for a first name", "first_name", contacts.FieldRequired, in{FirstName: "\u115f\u1160 \uffa0\u17b4"}},
		{"Braille blank for a first name", "first_name", contacts.FieldRequired, in{FirstName: "\u2800\u2800"}},
		{"blank symbols for a first name", "first_name", contacts.FieldRequired, in{FirstName: "\ufffc\U0001d159\U00013441"}},
		{"combining marks for a first name", "first_name", contacts.FieldRequired, in{FirstName: "\u0301\u0903\u20dd"}},
		{"variation selectors for a first name", "first_name", contacts.FieldRequired, in{FirstName: "\ufe0f\U000e0100\u180b"}},
		{"joiners for a first name", "first_name", contacts.FieldRequired, in{FirstName: "\u200c\u200d\u034f"}},
		{"long first name", "first_name", contacts.FieldTooLong, in{FirstName: strings.Repeat("猫", 101)}},
		{"huge first name", "first_name", contacts.FieldTooLong, in{FirstName: long(10 << 20)}},
		{"first name with a NUL", "first_name", contacts.FieldInvalid, in{FirstName: "a\x00b"}},
		{"first name with a line break", "first_name", contacts.FieldInvalid, in{FirstName: "a\nb"}},
		{"first name with a C1 control", "first_name", contacts.FieldInvalid, in{FirstName: "a\u0085b"}},
		{"first name with a line separator", "first_name", contacts.FieldInvalid, in{FirstName: "a\u2028b"}},
		{"first name of invalid UTF-8", "first_name", contacts.FieldInvalid, in{FirstName: "a\xffb"}},
		{"long last name", "last_name", contacts.FieldTooLong, in{FirstName: "x", LastName: long(201)}},
		{"long company", "company", contacts.FieldTooLong, in{FirstName: "x", Company: long(201)}},
		{"long address", "address", contacts.FieldTooLong, in{FirstName: "x", Address: long(501)}},
		{"address with a tab", "address", contacts.FieldInvalid, in{FirstName: "x", Address: "a\tb"}},
		{"long city", "city", contacts.FieldTooLong, in{FirstName: "x", City: long(101)}},
		{"long state", "state", contacts.FieldTooLong, in{FirstName: "x", State: long(101)}},
		{"long zip code", "zip_code", contacts.FieldTooLong, in{FirstName: "x", ZipCode: long(21)}},
		{"long country", "country", contacts.FieldTooLong, in{FirstName: "x", Country: long(65)}},
		{"long status", "status", contacts.FieldTooLong, in{FirstName: "x", Status: long(65)}},
		{"long stage", "stage", contacts.FieldTooLong, in{FirstName: "x", Stage: long(65)}},
		{"negative team", "team_id", contacts.FieldInvalid, in{FirstName: "x", TeamID: -1}},

		{"no @", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "john"}},
		{"two @", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "a@b@example.com"}},
		{"nothing before the @", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "@example.com"}},
		{"nothing after the @", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "john@"}},
		{"display name", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "John <john@example.com>"}},
		{"two addresses", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "a@example.com,b@example.com"}},
		{"leading dot", "email", contacts.FieldInvalid, in{FirstName: "x", Email: ".john@example.com"}},
		{"trailing dot", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "john.@example.com"}},
		{"doubled dot", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "john..doe@example.com"}},
		{"quoted local part", "email", contacts.FieldInvalid, in{FirstName: "x", Email: `"john doe"@example.com`}},
		{"space", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "john doe@example.com"}},
		{"domain with a trailing dot", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "john@example.com."}},
		{"label that starts with a dash", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "john@-example.com"}},
		{"label with an underscore", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "john@exa_mple.com"}},
		{"label of 64 bytes", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "john@" + long(64) + ".com"}},
		{"address literal", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "john@[127.0.0.1]"}},
		{"local part of 65 bytes", "email", contacts.FieldTooLong, in{FirstName: "x", Email: long(65) + "@example.com"}},
		{"255 bytes", "email", contacts.FieldTooLong, in{FirstName: "x", Email: "x@" + strings.Repeat("abc.", 63) + "d"}},
		{"255 bytes in fewer characters", "email", contacts.FieldTooLong, in{FirstName: "x", Email: strings.Repeat("é", 32) + "@" + strings.Repeat("abcdefghi.", 19) + "x"}},
		{"emoji before the @", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "👍@example.com"}},

		{"bold letters before the @", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "𝐣𝐨@example.com"}},
		{"ligature before the @", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "ﬁ@example.com"}},
		{"variation selector before the @", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "bob\ufe0f@example.com"}},
		{"filler before the @", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "bob\u3164@example.com"}},
		{"address of IPv4 for a domain", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "bob@1.2.3.4"}},
		{"number for a domain", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "bob@2130706433"}},
		{"hexadecimal number for a domain", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "bob@0x7F000001"}},
		{"encoded domain that stands for none", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "bob@XN--a.example"}},
		{"numeric top level", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "bob@example.123"}},
		{"numeric top level in full width", "email", contacts.FieldInvalid, in{FirstName: "x", Email: "bob@example.１２３"}},

		{"another scheme", "website", contacts.FieldInvalid, in{FirstName: "x", Website: "ftp://example.com"}},
		{"script", "website", contacts.FieldInvalid, in{FirstName: "x", Website: "javascript:alert(1)"}},
		{"script with a number for a port", "website", contacts.FieldInvalid, in{FirstName: "x", Website: "javascript:1"}},
		{"no host", "website", contacts.FieldInvalid, in{FirstName: "x", Website: "https://"}},
		{"no host but a path", "website", contacts.FieldInvalid, in{FirstName: "x", Website: "https:///path"}},
		{"one word", "website", contacts.FieldInvalid, in{FirstName: "x", Website: "example"}},
		{"user name", "website", contacts.FieldInvalid, in{FirstName: "x", Website: "https://user@example.com"}},
		{"password", "website", contacts.FieldInvalid, in{FirstName: "x", Website: "https://user:pass@example.com"}},
		{"mail address", "website", contacts.FieldInvalid, in{FirstName: "x", Website: "mailto:john@example.com"}},
		{"backslash in the path", "website", contacts.FieldInvalid, in{FirstName: "x", Website: `https://example.com/a\b`}},
		{"backslash", "website", contacts.FieldInvalid, in{FirstName: "x", Website: `https://example.com\@evil.example`}},
		{"space inside", "website", contacts.FieldInvalid, in{FirstName: "x", Website: "https://example.com/a b"}},
		{"port out of range", "website", contacts.FieldInvalid, in{FirstName: "x", Website: "https://example.com:99999"}},
		{"host with a percent sign", "website", contacts.FieldInvalid, in{FirstName: "x", Website: "https://exa%mple.com"}},
		{"long", "website", contacts.FieldTooLong, in{FirstName: "x", Website: "https://example.com/" + long(2029)}},
		{"long with the scheme that was added", "website", contacts.FieldTooLong, in{FirstName: "x", Website: "example.com/" + long(2030)}},

		{"blank tag", "tags[1]", contacts.FieldRequired, in{FirstName: "x", Tags: []string{"a", " "}}},
		{"tag that shows nothing", "tags[0]", contacts.FieldRequired, in{FirstName: "x", Tags: []string{"\u200b\u2800"}}},
		{"long tag", "tags[0]", contacts.FieldTooLong, in{FirstName: "x", Tags: []string{long(101)}}},
		{"tag with a control character", "tags[0]", contacts.FieldInvalid, in{FirstName: "x", Tags: []string{"a\tb"}}},
		{"101 tags", "tags", contacts.FieldTooMany, in{FirstName: "x", Tags: tags}},

		{"phone number missing", "phone_numbers[0].phone_number", contacts.FieldRequired, phones(number(" "))},
		{"phone number that shows nothing", "phone_numbers[0].phone_number", contacts.FieldRequired, phones(number("\u200e\u202c"))},
		{"phone number wrong", "phone_numbers[1].phone_number", contacts.FieldInvalid, phones(number("+15551234567"), number("555"))},
		{"same number twice", "phone_numbers[1].phone_number", contacts.FieldDuplicate, phones(number("+15551234567"), number("+1 555 123-4567"))},
		{"two primaries", "phone_numbers[2].primary", contacts.FieldDuplicate, phones(number("+15551234560"), primary("+15551234567"), primary("+15551234568"))},
		{"51 numbers", "phone_numbers", contacts.FieldTooMany, phones(numbers...)},
		{"long phone type", "phone_numbers[0].phone_type", contacts.FieldTooLong, phones(contacts.PhoneNumberInput{PhoneNumber: "+15551234567", PhoneType: long(33)})},
	} {
		t.Run(c.field+" "+c.name, func(t *testing.T) {
			t.Parallel()
			_, err := w.svc.CreateContact(t.Context(), w.key, c.in)
			code := contacts.CodeValidationError
			if c.field == "first_name" && c.code == contacts.FieldRequired {
				code = contacts.CodeMissingFirstName
			}
			wantError(t, err, code, wrong(c.field, c.code))
		})
	}
}

func TestWrongAddressIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	const form = "must be one bare address such as name@example.com"
	for in, why := range map[string]string{
		"john":                       form,
		"a@b@example.com":            form,
		"@example.com":               form,
		"John <john@example.com>":    form,
		"john@abc_d.com":             `must hold no "_" after the @`,
		"john@abc!d.com":             `must hold no "!" after the @`,
		"jo/hn\u00a7@example.com":    `must hold no "§" (U+00A7) before the @`,
		"john\u200d@example.com":     "must hold no U+200D before the @",
		"𝐣ohn@example.com":           `must hold no "𝐣" (U+1D423) before the @`,
		"john..doe@example.com":      "must hold no dot at the start, before the @, or after another dot",
		"john@example..com":          "must have a domain that can exist after the @, such as example.com",
		"john@1.2.3.4":               "must have a domain that can exist after the @, such as example.com",
		"john@-example.com":          "must have a domain that can exist after the @, such as example.com",
		"john@\u0301example.example": "must have a domain that can exist after the @, such as example.com",
	} {
		_, err := w.svc.CreateContact(t.Context(), w.key, contacts.CreateContactInput{FirstName: "x", Email: in})
		wantError(t, err, contacts.CodeValidationError, contacts.FieldError{Field: "email", Code: contacts.FieldInvalid, Message: why})
	}
}

func TestLimitsHoldTheLongestNamesOfCountriesAndFamilies(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	w.create(t, contacts.CreateContactInput{FirstName: "x", LastName: strings.Repeat("猫", 200), Country: strings.Repeat("é", 64)})
}

func TestEverythingWrongIsReportedAtOnceInTheDocumentedOrder(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	in := contacts.CreateContactInput{
		IndustryContext: map[string]any{"a": "\x00"},
		CustomContext:   map[string]any{"a": make(chan int)},
		PhoneNumbers:    []contacts.PhoneNumberInput{{}, {PhoneNumber: "+1"}, {PhoneNumber: "+15551234567", PhoneType: "\x00"}},
		Tags:            []string{"", "ok", ""},
		TeamID:          -1,
		Website:         "ftp://x",
		Email:           "x",
		LastName:        "\x01",
	}
	_, err := w.svc.CreateContact(t.Context(), w.key, in)
	wantError(t, err, contacts.CodeMissingFirstName,
		wrong("first_name", contacts.FieldRequired),
		wrong("last_name", contacts.FieldInvalid),
		wrong("email", contacts.FieldInvalid),
		wrong("website", contacts.FieldInvalid),
		wrong("team_id", contacts.FieldInvalid),
		wrong("tags[0]", contacts.FieldRequired),
		wrong("tags[2]", contacts.FieldRequired),
		wrong("phone_numbers[0].phone_number", contacts.FieldRequired),
		wrong("phone_numbers[1].phone_number", contacts.FieldInvalid),
		wrong("phone_numbers[2].phone_type", contacts.FieldInvalid),
		wrong("custom_context", contacts.FieldInvalid),
		wrong("industry_context", contacts.FieldInvalid),
	)
}

func TestPlainWebsitesAreWebsites(t *testing.T) {
	t.Parallel()
	sites := rapid.OneOf(
		rapid.StringMatching(`https?://[a-z0-9._-]{1,12}[a-z:@%\[ü]?[a-z0-9]{0,4}([/?#][ -~]{0,12})?`),
		rapid.Map(rapid.StringN(0, 20, 40), func(s string) string { return "https://example.com/" + s }))
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		s := sites.Draw(t, "website")
		if !contacts.IsPlainWebsite(s) {
			return
		}
		taken++
		if why := contacts.WhyNoWebsite(s); why != "" {
			t.Fatalf("the fast path takes %q, which %s", s, why)
		}
	})
	if taken == 0 {
		t.Error("the fast path took no website at all")
	}
}

func TestTagsKeepTheirOrderAndLoseTheirRepeats(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	many := make([]string, 0, 400)
	for i := range 200 {
		many = append(many, itoa(i%100), " "+itoa(i%100)+" ")
	}
	for _, c := range []struct {
		name     string
		in, want []string
	}{
		{"none", []string{}, nil},
		{"repeats", []string{"b", "a", " b", "B", "e\u0301", "é"}, []string{"b", "a", "B", "é"}},
		{"repeats with hidden characters", []string{"vip", "\ufeffvip", "v\u200bip", "vip\u2060"}, []string{"vip"}},
		{"a hundred, four times", many, func() (want []string) {
			for i := range 100 {
				want = append(want, itoa(i))
			}
			return want
		}()},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := w.create(t, contacts.CreateContactInput{FirstName: "x", Tags: c.in}).Tags
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPrimaryIsTheOneThatSaysSoOrTheFirst(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, nil)
	for _, primary := range []int{-1, 0, 1, 2} {
		in := contacts.CreateContactInput{FirstName: "x"}
		for i := range 3 {
			in.PhoneNumbers = append(in.PhoneNumbers, contacts.PhoneNumberInput{PhoneNumber: "+1555123456" + itoa(i), Primary: i == primary})
		}
		for i, p := range w.create(t, in).PhoneNumbers {
			if want := i == max(primary, 0); p.Primary != want {
				t.Errorf("primary %d was asked for: number %d has primary %t", primary, i, p.Primary)
			}
		}
	}
}

func TestClosedVocabulariesTakeTheirWordsAndTheDefaults(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, &contacts.Options{Statuses: []string{"won", "lost"}, Stages: []string{"hot"}, PhoneTypes: []string{"mobile"}})
	phones := []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567", PhoneType: " mobile"}, {PhoneNumber: "+15551234568"}}
	w.create(t, contacts.CreateContactInput{FirstName: "x", PhoneNumbers: phones})
	w.create(t, contacts.CreateContactInput{FirstName: "x", Status: "won", Stage: "hot"})
	w.create(t, contacts.CreateContactInput{FirstName: "x", Status: "not_contacted", Stage: "lead"})
	phones[1].PhoneType = "Mobile"
	_, err := w.svc.CreateContact(t.Context(), w.key, contacts.CreateContactInput{FirstName: "x", Status: "Won", Stage: "cold", PhoneNumbers: phones})
	wantError(t, err, contacts.CodeValidationError,
		contacts.FieldError{Field: "status", Code: contacts.FieldNotAllowed, Message: "must be one of won, lost"},
		wrong("stage", contacts.FieldNotAllowed),
		wrong("phone_numbers[1].phone_type", contacts.FieldNotAllowed))
}

func TestLimitsOptionReplacesTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	w := memoryWorld(t, &contacts.Options{Limits: contacts.Limits{Name: 3, LastName: 3, Tags: 1, PhoneNumbers: 1, ContextBytes: 10, ContextDepth: 1, BodyBytes: 40}})
	w.create(t, contacts.CreateContactInput{FirstName: "abc", LastName: "ééé", Tags: []string{"a", "a"}, CustomContext: map[string]any{"a": true}})
	_, err := w.svc.CreateContact(t.Context(), w.key, contacts.CreateContactInput{
		FirstName: "abcd", Tags: []string{"a", "b"}, PhoneNumbers: make([]contacts.PhoneNumberInput, 2),
		CustomContext: map[string]any{"a": "long"}, IndustryContext: map[string]any{"a": []any{}}})
	wantError(t, err, contacts.CodeValidationError,
		wrong("first_name", contacts.FieldTooLong), wrong("tags", contacts.FieldTooMany), wrong("phone_numbers", contacts.FieldTooMany),
		wrong("custom_context", contacts.FieldTooLong), wrong("industry_context", contacts.FieldTooDeep))
	_, err = w.svc.CreateContactJSON(t.Context(), w.key, strings.NewReader(`{"first_name":"abc"`+strings.Repeat(" ", 22)+`}`))
	wantError(t, err, contacts.CodeInvalidJSON)
}

func TestWhatWasAcceptedIsStoredAsReturnedAndAcceptedUnchanged(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store contacts.Store) {
		w := newWorld(t, store, nil)
		inputs := anyInput()
		rapid.Check(t, func(t *rapid.T) {
			in := inputs.Draw(t, "input")
			created, err := w.svc.CreateContact(context.Background(), w.key, in)
			if err != nil {
				if contacts.CodeOf(err) == contacts.CodeServerError {
					t.Fatal(err)
				}
				return
			}
			stored, err := w.svc.GetContact(context.Background(), w.key, created.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(created, stored); diff != "" {
				t.Fatalf("returned and stored differ (-returned +stored):\n%s", diff)
			}
			again, err := w.svc.CreateContact(context.Background(), w.key, inputOf(created))
			if err != nil {
				t.Fatalf("what was returned is refused: %v", err)
			}
			again.ID = created.ID
			for i := range again.PhoneNumbers {
				again.PhoneNumbers[i].ID = created.PhoneNumbers[i].ID
			}
			if diff := cmp.Diff(created, again); diff != "" {
				t.Fatalf("normalisation is not idempotent (-once +twice):\n%s", diff)
			}
		})
	})
}

// inputOf returns the input that says what the contact says.
func inputOf(c *contacts.Contact) contacts.CreateContactInput {
	in := contacts.CreateContactInput{
		FirstName: c.FirstName, LastName: c.LastName, Email: c.Email, Company: c.Company, Website: c.Website,
		Address: c.Address, City: c.City, State: c.State, ZipCode: c.ZipCode, Country: c.Country,
		Status: c.Status, Stage: c.Stage, TeamID: c.TeamID, Tags: c.Tags,
		CustomContext: c.CustomContext, IndustryContext: c.IndustryContext,
	}
	for _, p := range c.PhoneNumbers {
		in.PhoneNumbers = append(in.PhoneNumbers, contacts.PhoneNumberInput{
			PhoneNumber: p.PhoneNumber, PhoneType: p.PhoneType, Primary: p.Primary, DoNotCall: p.DoNotCall})
	}
	return in
}

// anyInput draws inputs of which many are right and some are wrong in some way.
func anyInput() *rapid.Generator[contacts.CreateContactInput] {
	free := rapid.OneOf(rapid.Just(""), rapid.StringN(0, 12, 60), rapid.StringMatching(`[ A-Za-zé\x{300}-\x{306}\x{1100}-\x{1112}\x{1161}-\x{1175}İßǅ\x{200b}\x{200d}\x{202c}\x{feff}\x{3164}\x{fa19}]{0,20}`))
	emails := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[a-zA-Z.é+ａＢｶﾞ\x{200b}]{1,8}[@＠][a-zA-Z0-9.üÜßİａ\x{ad}-]{1,12}\.(com|DE|рф|例え|12)`))
	sites := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`(https?://|HTTP://)?[a-zA-Z0-9.ü_\x{ad}-]{1,12}\.(com|рф)(:[0-9]{1,5})?(/[a-z%?#é]{0,8})?`))
	numbers := e164Like()
	contextsOf := rapid.OneOf(rapid.Just(map[string]any(nil)), rapid.MapOfN(rapid.String(), anyJSON(3), 0, 4))
	return rapid.Custom(func(t *rapid.T) contacts.CreateContactInput {
		in := contacts.CreateContactInput{
			FirstName: rapid.OneOf(free, rapid.Just("John")).Draw(t, "first name"),
			LastName:  free.Draw(t, "last name"), Email: emails.Draw(t, "email"), Company: free.Draw(t, "company"),
			Website: sites.Draw(t, "website"), Address: free.Draw(t, "address"), City: free.Draw(t, "city"),
			State: free.Draw(t, "state"), ZipCode: free.Draw(t, "zip code"), Country: free.Draw(t, "country"),
			Status: free.Draw(t, "status"), Stage: free.Draw(t, "stage"),
			TeamID:          rapid.SampledFrom([]int64{0, 0, team, closedTeam, foreignTeam}).Draw(t, "team"),
			Tags:            rapid.SliceOfN(rapid.OneOf(free, rapid.Just("vip")), 0, 3).Draw(t, "tags"),
			CustomContext:   contextsOf.Draw(t, "custom"),
			IndustryContext: contextsOf.Draw(t, "industry"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "phones") {
			in.PhoneNumbers = append(in.PhoneNumbers, contacts.PhoneNumberInput{
				PhoneNumber: numbers.Draw(t, "number"), PhoneType: free.Draw(t, "type"),
				Primary: rapid.IntRange(0, 3).Draw(t, "primary") == 0, DoNotCall: rapid.Bool().Draw(t, "do not call")})
		}
		return in
	})
}
