package contacts_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
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
		{"dots between groups", "+1 303.443.0123", "+13034430123"},
		{"one dot between groups", "+1 303 443.0123", "+13034430123"},
		{"dot after the country code, as registries write it", "+49.30123456", "+4930123456"},
		{"dots between all groups", "+49.30.12.34.00", "+4930123400"},
		{"dot at the end", "+4930123456.", "+4930123456"},
		{"zero after the switchboard's number", "+49 30 123456-0", "+49301234560"},
		{"country code in parentheses", "(+44) 20 7946 0958", "+442079460958"},
		{"minus signs", "+1 415\u2212555\u22120123", "+14155550123"},
		{"dashes of a Japanese keyboard", "+81 90ー1234ー5678", "+819012345678"},
		{"brackets", "+1 [415] 555（0123）", "+14155550123"},
		{"apostrophe of a spreadsheet", "'+14155550123", "+14155550123"},
		{"formula of a spreadsheet", `="+14155550123"`, "+14155550123"},
		{"URL", "tel:+1-555-123-4567", "+15551234567"},
		{"URL in capitals", "TEL:+15551234567", "+15551234567"},
		{"number that a messenger exports", "whatsapp:+15551234567", "+15551234567"},
		{"number that an advertiser exports", "p:+15551234567", "+15551234567"},
		{"tab and line break at the ends", "\t+15551234567\r\n", "+15551234567"},
		{"marks of direction around it", "\u202d+447976399087\u202c", "+447976399087"},
		{"mark of direction in front", "\u200e+79022222222", "+79022222222"},
		{"isolate", "\u2068+79022222222\u2069", "+79022222222"},
		{"byte order mark", "\ufeff+14155550123", "+14155550123"},
		{"soft hyphens", "+1\u00ad415\u00ad555\u00ad0123", "+14155550123"},
		{"zero width spaces and word joiners", "+1\u200b415\u2060555\u20600123", "+14155550123"},
		{"trunk zero of a plan that has none", "+48 (0-43) 8412345", "+48438412345"},
		{"trunk zero in parentheses", "+420 (0)2 1234 5678", "+420212345678"},
		{"area code with its zero", "+48 (043) 8412345", "+48438412345"},
		{"trunk zero in Hungary", "+36 (0)1 234 5678", "+3612345678"},
		{"trunk zero in Hong Kong", "+852 (0)2123 4567", "+85221234567"},
		{"trunk zero in Spain", "+34 (0)91 123 45 67", "+34911234567"},
		{"trunk zero in North America", "+1 (0) 303 443 0123", "+13034430123"},
		{"number of Ascension with its zero", "+247 062889", "+247062889"},
		{"trunk zero in Germany", "+49 (0)30 123456", "+4930123456"},
		{"Italian zero in parentheses", "+39 (0)6 1234 5678", "+390612345678"},
		{"Sammarinese zero", "+378 (0549) 886377", "+3780549886377"},
		{"Vatican zero", "+39 (06) 698 12345", "+390669812345"},
		{"Ivorian zero", "+225 01 23 45 67 89", "+2250123456789"},
		{"Italian zero of an unassigned range", "+39 0999 123 456", "+390999123456"},
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
	const (
		decimal    = "looks like a decimal number; give the digits of the phone number alone"
		scientific = "looks like a number in scientific notation, which has lost digits; store phone numbers as text"
	)
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
		{"full-width plus", "＋15551234567", "must be written in the digits 0 to 9"},
		{"slash", "+1555/1234567", `must hold no "/"`},
		{"tab", "+1555\t1234567", "must hold no U+0009"},
		{"line break", "+15551234567\n+15551234568", "must hold no U+000A"},
		{"NUL", "+1555\x001234567", "must hold no U+0000"},
		{"reversed digits", "+1555\u202e1234567", "must hold no U+202E"},
		{"zero width joiner", "+1555\u200d1234567", "must hold no U+200D"},
		{"emoji of digits", "+1555123456\ufe0f\u20e37", "must hold no U+FE0F"},
		{"Hangul filler", "+1555\u31641234567", "must hold no U+3164"},
		{"middle dots", "+33 1·23·45·67·89", `must hold no "·" (U+00B7)`},
		{"formula without quotes", "=+15551234567", `must hold no "="`},
		{"apostrophe inside", "+1555'1234567", `must hold no "'"`},
		{"invalid UTF-8", "+1555\xff1234567", "must be valid UTF-8"},
		{"decimal", "+4930123456.0", decimal},
		{"decimal of two places", "+4930123456.00", decimal},
		{"decimal with another fraction", "+4930123456.5", decimal},
		{"decimal with a fraction of two places", "+4930123456.25", decimal},
		{"decimal with a comma", "+49 30 123456,0", decimal},
		{"decimal between groups", "+49 30 123456.0", decimal},
		{"decimal with commas between thousands", "+4,930,123,456.00", decimal},
		{"decimal with dots between thousands", "+4.930.123.456,00", decimal},
		{"decimal that would have the right length", "+1303443012.0", decimal},
		{"decimal in a formula", `="+4930123456.0"`, decimal},
		{"decimal with hidden characters", "+4930123456.\u200b0\u200b", decimal},
		{"decimal in parentheses", "(+4930123456.0)", decimal},
		{"exponent", "4.93012E+10", scientific},
		{"exponent after a comma", "+4,93012e+10", scientific},
		{"exponent of a whole number", "1e10", scientific},
		{"old mobile number of Mexico", "+5215541637145", "must leave out the 1 after +52, which is no longer used"},
		{"zero before a mobile number of Italy", "+39 (0)347 1234567", "has the digit 0 in front that belongs to no number; leave it out"},
		{"zero in parentheses that may be part of the number", "+247 (0) 62889", "has the digit 0 in front that belongs to no number; leave it out"},
		{"eight that was a trunk prefix", "+380 (8) 44 123 45 67", "has the digit 8 in front that belongs to no number; leave it out"},
		{"zero before an unassigned number", "+48 (0)111 111 111", "has the digit 0 in front that belongs to no number; leave it out"},
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
		{"DE", "030123456", "+4930123456"},
		{"DE", "030123456.0", ""},
		{"DE", "4930123456.0", ""},
		{"DE", "'030 123456", "+4930123456"},
		{"DE", `="030123456"`, "+4930123456"},
		{"DE", "tel:030-123456", "+4930123456"},
		{"DE", "\u202d030 123456\u202c", "+4930123456"},
		{"CZ", "0602 123 456", "+420602123456"},
		{"PL", "(0-43) 841 23 45", "+48438412345"},
		{"IT", "0347 1234567", ""},

		// The region's own country code in front, without a +.
		{"DE", "0491 12345", "+4949112345"},
		{"DE", "+49 491 12345", "+4949112345"},
		{"AT", "436641234567", "+436641234567"},
		{"CZ", "420601123456", "+420601123456"},
		{"IN", "919876543210", "+919876543210"},
		{"BR", "5511987654321", "+5511987654321"},
		{"PL", "48 501 123 456", "+48501123456"},
		{"PL", "48 123 45 67", "+48481234567"}, // Radom
		{"SG", "6512 3456", "+6565123456"},
		{"IT", "392 1234567", "+393921234567"},
		{"IT", "393471234567", "+393471234567"},
	} {
		t.Run(c.region+" "+c.in, func(t *testing.T) {
			t.Parallel()
			if got, why := contacts.NormalisePhone(c.in, c.region, false); got != c.want {
				t.Errorf("got %q (%s), want %q", got, why, c.want)
			}
		})
	}
}

func TestNumberThatMayHaveItsCountryCodeOrNotIsRefused(t *testing.T) {
	t.Parallel()
	const german = "may start with the country code 49 or not; start with +, or with 0 if it does not"
	for _, c := range []struct{ region, in, why string }{
		{"DE", "491622897306", german},
		{"DE", "4915112345678", german},
		{"DE", "49 7755 91155", german},
		{"DE", "491709114421", german},
		{"IT", "3906123456", "may start with the country code 39 or not; start with +39"},
	} {
		for _, validOnly := range []bool{false, true} {
			if got, why := contacts.NormalisePhone(c.in, c.region, validOnly); got != "" || why != c.why {
				t.Errorf("%s %s, valid only %t: got %q, %q; want %q", c.region, c.in, validOnly, got, why, c.why)
			}
		}
	}
}

// eachExample calls do with the example numbers of all regions and calling codes.
func eachExample(t *testing.T, do func(region string, n *phonenumbers.PhoneNumber)) {
	collection, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range collection.GetMetadata() {
		for _, d := range []*phonenumbers.PhoneNumberDesc{
			m.GetFixedLine(), m.GetMobile(), m.GetTollFree(), m.GetPremiumRate(), m.GetSharedCost(),
			m.GetPersonalNumber(), m.GetVoip(), m.GetPager(), m.GetUan(), m.GetVoicemail(),
		} {
			if d.GetExampleNumber() == "" {
				continue
			}
			n, err := phonenumbers.Parse("+"+itoa(int(m.GetCountryCode()))+d.GetExampleNumber(), "")
			if err != nil {
				t.Fatalf("%s %s: %v", m.GetId(), d.GetExampleNumber(), err)
			}
			do(m.GetId(), n)
		}
	}
}

func TestZeroThatPeopleWriteAfterTheCountryCodeIsNotStored(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	written, taken := 0, 0
	eachExample(t, func(region string, n *phonenumbers.PhoneNumber) {
		e164 := phonenumbers.Format(n, phonenumbers.E164)
		national := phonenumbers.GetNationalSignificantNumber(n)
		code := "+" + itoa(int(n.GetCountryCode()))
		for _, c := range []struct {
			in        string
			validOnly bool
		}{
			{code + " (0) " + national, false},
			{code + " (0)" + national, true},
			{code + " (0-" + national[:2] + ") " + national[2:], false},
			{code + " (0" + national[:2] + ") " + national[2:], false},
		} {
			written++
			got, _ := contacts.NormalisePhone(c.in, "", c.validOnly)
			if got == e164 {
				taken++
			} else if got != "" && code != "+39" { // Italy and the Vatican keep theirs
				t.Errorf("%s: %q becomes %q", region, c.in, got)
			}
		}
	})
	if taken*10 < written*9 {
		t.Errorf("%d of %d numbers were taken, fewer than 9 in 10", taken, written)
	}
}

func TestRegionsOwnCountryCodeIsNotAddedTwice(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	written, taken := 0, 0
	eachExample(t, func(region string, n *phonenumbers.PhoneNumber) {
		if region == "001" {
			return
		}
		e164 := phonenumbers.Format(n, phonenumbers.E164)
		for _, validOnly := range []bool{false, true} {
			written++
			got, _ := contacts.NormalisePhone(e164[1:], region, validOnly)
			if got == e164 {
				taken++
			} else if got != "" {
				t.Errorf("%s: %q becomes %q", region, e164[1:], got)
			}
		}
	})
	if taken*10 < written*8 {
		t.Errorf("%d of %d numbers were taken, fewer than 8 in 10", taken, written)
	}
}

func TestNationalNumbersAreTakenAsTheirRegionWritesThem(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	eachExample(t, func(region string, n *phonenumbers.PhoneNumber) {
		if region == "001" {
			return
		}
		in, want := phonenumbers.Format(n, phonenumbers.NATIONAL), phonenumbers.Format(n, phonenumbers.E164)
		if again, err := phonenumbers.Parse(in, region); err != nil || phonenumbers.Format(again, phonenumbers.E164) != want || phonenumbers.IsPossibleNumberWithReason(again) != phonenumbers.IS_POSSIBLE {
			return // it is written in a way that the parser itself does not read
		}
		if got, why := contacts.NormalisePhone(in, region, false); got != want {
			t.Errorf("%s: %q becomes %q (%s), want %q", region, in, got, why, want)
		}
	})
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
	longtest.SkipShort(t)
	fast, possible := 0, 0
	step := longtest.Size(3, 1) // 3 has every first and every second digit
	for code := range phonenumbers.GetSupportedCallingCodes() {
		for first := 0; first < 40; first += step {
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

func TestForms(t *testing.T) {
	t.Parallel()
	type forms = []contacts.PhoneForm
	for _, tt := range []struct {
		a, b, name string // b "": no other form
	}{
		{"+5511987654321", "+551187654321", "br_ninth_digit"},
		{"+5511961234567", "+551161234567", "br_ninth_digit"},
		{"+5511951234567", "", ""}, // a subscriber who never had eight digits
		{"+551151234567", "", ""},  // a fixed line
		{"+5491123456789", "+541123456789", "ar_mobile_nine"},
		{"+5499123456789", "+549123456789", "ar_mobile_nine"},
		{"+5215512345678", "+525512345678", "mx_mobile_one"},
		{"+52155123456789", "", ""},
		{"+390612345678", "", ""},
		{"+15551234567", "", ""},
		{"", "", ""},
		{"+", "", ""},
		{"+54911234567x9", "", ""},
	} {
		want := forms{{Number: tt.a}}
		if tt.b != "" {
			want = append(want, contacts.PhoneForm{Number: tt.b, Name: tt.name})
			back := forms{{Number: tt.b}, {Number: tt.a, Name: tt.name}}
			if diff := cmp.Diff(back, contacts.PhoneForms(tt.b)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.b, diff)
			}
		}
		if diff := cmp.Diff(want, contacts.PhoneForms(tt.a)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.a, diff)
		}
	}
	eachExample(t, func(region string, n *phonenumbers.PhoneNumber) {
		number := phonenumbers.Format(n, phonenumbers.E164)
		got := contacts.PhoneForms(number)
		if len(got) == 0 || len(got) > 2 || got[0] != (contacts.PhoneForm{Number: number}) {
			t.Fatalf("%s: got %v; want it and at most one more", number, got)
		}
		if len(got) > 1 && region != "BR" && region != "AR" && region != "MX" {
			t.Errorf("%s of %s: got %v, want it alone", number, region, got)
		}
		for _, form := range got[1:] {
			if back := contacts.PhoneForms(form.Number); len(back) != 2 || back[1].Number != number || back[1].Name != form.Name {
				t.Errorf("%s has the form %v, whose forms are %v", number, form, back)
			}
		}
	})
}
