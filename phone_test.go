package contacts_test

import (
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"

	"example.com/contacts"
)

func TestPhoneNumbersBecomeE164(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"the documented example, possible and not valid", "+15551234567", "+15551234567"},
		{"punctuation", " +1 (555) 123-45.67 ", "+15551234567"},
		{"no-break spaces and dashes of other kinds", "+1\u00a0555\u2011123–4567", "+15551234567"},
		{"Italian zero", "+39 06 1234 5678", "+390612345678"},
		{"Italian mobile", "+393123456789", "+393123456789"},
		{"trunk zero after the country code", "+44 020 7946 0958", "+442079460958"},
		{"trunk one of North America", "+1 1 555 123 4567", "+15551234567"},
		{"shortest", "+29020000", "+29020000"},
		{"fifteen digits", "+491234567890123", "+491234567890123"},
		{"freephone without a country", "+80012345678", "+80012345678"},
		{"Argentine mobile", "+54 9 11 2345 6789", "+5491123456789"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got, why := contacts.NormalisePhone(c.in, "", false); got != c.want {
				t.Errorf("%q: got %q (%s), want %q", c.in, got, why, c.want)
			}
		})
	}
}

func TestWhatIsNoPhoneNumberIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, why string }{
		{"no plus", "15551234567", "must start with + and the country code"},
		{"00 in place of +", "0044 20 7946 0958", "must start with + in place of 00"},
		{"plus in the middle", "1+5551234567", "must start with + and be followed by digits alone"},
		{"two pluses", "++15551234567", "must start with + and be followed by digits alone"},
		{"letters", "+1 800 FLOWERS", "must hold no letters and no extension"},
		{"extension", "+1 555 123 4567 ext. 5", "must hold no letters and no extension"},
		{"extension of RFC 3966", "+15551234567;ext=5", "must hold no letters and no extension"},
		{"pause", "+15551234567,5", "must hold no letters and no extension"},
		{"full-width digits", "+１５５５１２３４５６７", "must be written in the digits 0 to 9"},
		{"Arabic digits", "+١٥٥٥١٢٣٤٥٦٧", "must be written in the digits 0 to 9"},
		{"full-width plus", "＋15551234567", "must start with + and be followed by digits alone"},
		{"slash", "+1555/1234567", "must start with + and be followed by digits alone"},
		{"NUL", "+1555\x001234567", "must start with + and be followed by digits alone"},
		{"invalid UTF-8", "+1555\xff1234567", "must start with + and be followed by digits alone"},
		{"plus alone", "+", "must hold the digits of a phone number"},
		{"punctuation alone", "()", "must hold the digits of a phone number"},
		{"sixteen digits", "+1234567890123456", "must have at most 15 digits"},
		{"a novel", "+1" + strings.Repeat(" ", 100) + "5551234567", "is too long for a phone number"},
		{"unknown country code", "+9991234567", "starts with no country code that exists"},
		{"country code that starts with zero", "+04412345678", "starts with no country code that exists"},
		{"local number of North America", "+15551234", "lacks its area code"},
		{"too short", "+1555123456", "is too short for its country code"},
		{"too long", "+155512345678", "is too long for its country code"},
		{"length in a gap", "+42312345678", "has a length that its country code does not have"},
		{"one digit after the country code", "+391", "is too short"},
		{"nothing after the country code", "+39", "is not a phone number"},
		{"two trunk zeros", "+4400123456789", "has digits in front that belong to no number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, why := contacts.NormalisePhone(c.in, "", false)
			if got != "" || why != c.why {
				t.Errorf("%q: got %q, %q; want %q", c.in, got, why, c.why)
			}
		})
	}
}

func TestDefaultRegionAdmitsNationalNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ region, in, want string }{
		{"US", "(555) 123-4567", "+15551234567"},
		{"US", "1 555 123 4567", "+15551234567"},
		{"GB", "020 7946 0958", "+442079460958"},
		{"GB", "0039 06 1234 5678", "+390612345678"},
		{"IT", "06 1234 5678", "+390612345678"},
		{"US", "+39 06 1234 5678", "+390612345678"},
		{"US", "123-4567", ""},
		{"US", "+999 123 4567", ""},
		{"US", "555 CALL NOW", ""},
	} {
		t.Run(c.region+" "+c.in, func(t *testing.T) {
			t.Parallel()
			if got, why := contacts.NormalisePhone(c.in, c.region, false); got != c.want {
				t.Errorf("got %q (%s), want %q", got, why, c.want)
			}
		})
	}
}

func TestValidNumbersOnlyRefusesUnassignedRanges(t *testing.T) {
	t.Parallel()
	if got, why := contacts.NormalisePhone("+15551234567", "", true); why != "is not in a range of numbers that is in use" {
		t.Errorf("got %q, %q", got, why)
	}
	if got, why := contacts.NormalisePhone("+1 201 555 0123", "", true); got != "+12015550123" {
		t.Errorf("got %q, %q", got, why)
	}
}

// byParser is what the fast path must agree with.
func byParser(s string) (string, bool) {
	n, err := phonenumbers.Parse(s, "")
	if err != nil || phonenumbers.IsPossibleNumberWithReason(n) != phonenumbers.IS_POSSIBLE {
		return "", false
	}
	return phonenumbers.Format(n, phonenumbers.E164), true
}

// e164Like draws texts near E.164, most of them with a country code that exists.
func e164Like() *rapid.Generator[string] {
	codes := make([]string, 0, 250)
	for code := range phonenumbers.GetSupportedCallingCodes() {
		codes = append(codes, itoa(code))
	}
	return rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			return rapid.StringMatching(`\+?[0-9]{0,17}`).Draw(t, "any")
		}
		return "+" + rapid.SampledFrom(codes).Draw(t, "code") + rapid.StringMatching(`[01289]?[0-9]{0,13}`).Draw(t, "national")
	})
}

func TestFastPathNeverDisagreesWithTheParser(t *testing.T) {
	t.Parallel()
	numbers := e164Like()
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		s := numbers.Draw(t, "number")
		if !contacts.IsPossibleE164(s) {
			return
		}
		taken++
		if got, ok := byParser(s); !ok || got != s {
			t.Fatalf("the fast path takes %q; the parser says %q, %t", s, got, ok)
		}
	})
	if taken == 0 {
		t.Error("the fast path took no number at all")
	}
}

// Every calling code is walked through, so that no code's own rules are left
// to chance.
func TestFastPathAgreesForEveryCallingCodeAndLength(t *testing.T) {
	t.Parallel()
	fast, possible := 0, 0
	for code := range phonenumbers.GetSupportedCallingCodes() {
		for first := range 40 {
			for length := 3; length <= 13; length++ {
				national := (itoa(first/4) + itoa(first%4*3) + "345678912345")[:length]
				s := "+" + itoa(code) + national
				got, ok := byParser(s)
				if ok && got == s {
					possible++
				}
				if !contacts.IsPossibleE164(s) {
					continue
				}
				fast++
				if !ok || got != s {
					t.Errorf("the fast path takes %q; the parser says %q, %t", s, got, ok)
				}
			}
		}
	}
	if fast*10 < possible*7 {
		t.Errorf("the fast path takes %d of %d possible numbers, fewer than 7 in 10", fast, possible)
	}
}

func TestNormalisedNumbersAreE164AndStayAsTheyAre(t *testing.T) {
	t.Parallel()
	numbers := e164Like()
	rapid.Check(t, func(t *rapid.T) {
		s := numbers.Draw(t, "number")
		got, why := contacts.NormalisePhone(s, "", false)
		if (got == "") != (why != "") {
			t.Fatalf("%q: got %q and the reason %q", s, got, why)
		}
		if got == "" {
			return
		}
		if len(got) > 16 || got[0] != '+' || strings.Trim(got[1:], "0123456789") != "" {
			t.Fatalf("%q: %q is not E.164", s, got)
		}
		if again, why := contacts.NormalisePhone(got, "", false); again != got {
			t.Fatalf("%q becomes %q and that %q (%s)", s, got, again, why)
		}
	})
}

func FuzzNormalisePhone(f *testing.F) {
	for _, s := range []string{"+15551234567", "+39 06 1234 5678", "0044 20", "+1 (555) 123-4567 x5", "+", "+٣٣", "tel:+1;phone-context=+1", "\xff+1"} {
		f.Add(s, "")
		f.Add(s, "GB")
	}
	f.Fuzz(func(t *testing.T, s, region string) {
		if !phonenumbers.GetSupportedRegions()[region] {
			region = ""
		}
		got, why := contacts.NormalisePhone(s, region, false)
		if (got == "") != (why != "") {
			t.Fatalf("%q: got %q and the reason %q", s, got, why)
		}
		if got == "" {
			return
		}
		if again, why := contacts.NormalisePhone(got, region, false); again != got {
			t.Fatalf("%q becomes %q and that %q (%s)", s, got, again, why)
		}
		if want, ok := byParser(got); !ok || want != got {
			t.Fatalf("%q becomes %q, which the parser reads as %q, %t", s, got, want, ok)
		}
	})
}
