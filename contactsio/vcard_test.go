package contactsio_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/contactstest"
	"example.com/contacts/internal/longtest"
)

// TestVCard21 reads what phones write.
func TestVCard21(t *testing.T) {
	t.Parallel()
	number := func(number, kind string) []contacts.PhoneNumberInput {
		return []contacts.PhoneNumberInput{{PhoneNumber: number, PhoneType: kind}}
	}
	for name, tc := range map[string]struct {
		card string
		want contacts.CreateContactInput
	}{
		"type without a name":  {"N:Example;Ada\nTEL;HOME:+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "home")}},
		"types without a name": {"N:Example;Ada\nTEL;CELL;VOICE:+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "mobile")}},
		"escaped semicolon":    {"N:Doe\\;Smith;John", contacts.CreateContactInput{FirstName: "John", LastName: "Doe;Smith"}},
		"lower case":           {"n:example;ada\ntel;cell:+15551234567", contacts.CreateContactInput{FirstName: "ada", LastName: "example", PhoneNumbers: number("+15551234567", "mobile")}},
		"folded":               {"N:Example;\n Ada\nNOTE:one\n  two", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", CustomContext: map[string]any{"note": "one  two"}}},
		"quoted-printable":     {"N;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:M=C3=BC=\nller;J=C3=B6rg", contacts.CreateContactInput{FirstName: "Jörg", LastName: "Müller"}},
		"another charset":      {"N;QUOTED-PRINTABLE;CHARSET=ISO-8859-1:M=FCller;J=F6rg", contacts.CreateContactInput{FirstName: "Jörg", LastName: "Müller"}},
		"no charset":           {"N;QUOTED-PRINTABLE:M=FCller;J=F6rg", contacts.CreateContactInput{FirstName: "Jörg", LastName: "Müller"}},
		"charset of Japan":     {"N;CHARSET=SHIFT_JIS;ENCODING=QUOTED-PRINTABLE:=93=63=92=86;=91=BE=98=59", contacts.CreateContactInput{FirstName: "太郎", LastName: "田中"}},
		"charset of bytes": {"N;CHARSET=windows-1251:\xcf\xf0;\xc8\xe2\nNOTE;CHARSET=SHIFT_JIS:\x93\x63\x92\x86\nTITLE:gr\xfc\xdfe\nORG;CHARSET=UTF-8:M\xc3\xbcller",
			contacts.CreateContactInput{FirstName: "Ив", LastName: "Пр", Company: "Müller", CustomContext: map[string]any{"note": "田中", "title": "grüße"}}},
		"two charsets": {"N;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:M=C3=BC=\n=\nller;J=C3=\n=B6rg\nNOTE;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:gr=\n=FC=\n=DFe",
			contacts.CreateContactInput{FirstName: "Jörg", LastName: "Müller", CustomContext: map[string]any{"note": "grüße"}}},
		"lines in one value":                     {"N:Example;Ada\nNOTE;ENCODING=QUOTED-PRINTABLE:one=0D=0A=\ntwo", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", CustomContext: map[string]any{"note": "one\ntwo"}}},
		"a soft line break before a colon":       {"N:Example;Ada\nNOTE;ENCODING=QUOTED-PRINTABLE:Door=0D=0A=\nKey: under the mat\nTEL;CELL:+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "mobile"), CustomContext: map[string]any{"note": "Door\nKey: under the mat"}}},
		"a soft line break in a folded property": {"N:Example;Ada\nNOTE;CHARSET=UTF-8;\n ENCODING=QUOTED-PRINTABLE:one=0D=0A=\nAgent: two=0D=0A=\nmore\nTEL:+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", ""), CustomContext: map[string]any{"note": "one\nAgent: two\nmore"}}},
		"a blank line after a soft line break":   {"N:Example;Ada\nNOTE;ENCODING=QUOTED-PRINTABLE:one=0D=0A=\n\nTEL:+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", ""), CustomContext: map[string]any{"note": "one"}}},
		"a soft line break at the end":           {"N:Example;Ada\nNOTE;ENCODING=QUOTED-PRINTABLE:one=", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", CustomContext: map[string]any{"note": "one"}}},
		"a soft line break that is dropped":      {"N:Example;Ada\nSOUND;ENCODING=QUOTED-PRINTABLE:one=\nTEL:x=\ntwo\nTEL:+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "")}},
		"agent on folded lines":                  {"N:Example;Ada\nTEL:+15551234567\nAGENT:BEGIN:VCARD\\nFN:Bob Other\\nTEL:+1-555-123-\n 9999\\nEND:VCARD\\n\nNOTE:one", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", ""), CustomContext: map[string]any{"note": "one"}}},
		"picture":                                {"N:Example;Ada\nPHOTO;JPEG;BASE64:\n AAAA\nBBBB\n\nTEL:+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "")}},
		"card inside the card":                   {"N:Example;Ada\nAGENT:\nBEGIN:VCARD\nN:Other;Bob\nEND:VCARD\nTEL:+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "")}},
		"fax and pager":                          {"N:Example;Ada\nTEL;WORK;FAX:+15551234567\nTEL;PAGER:+15551234568", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example"}},
		"family name alone":                      {"N:Smith;;;;\nFN:Smith", contacts.CreateContactInput{FirstName: "Smith"}},
		"full name alone":                        {"FN:Ada M. Example", contacts.CreateContactInput{FirstName: "Ada M.", LastName: "Example"}},
		"organisation alone":                     {"FN:Acme Example\nORG:Acme Example;Sales", contacts.CreateContactInput{FirstName: "Acme Example", Company: "Acme Example"}},
		"tel URI":                                {"N:Example;Ada\nTEL;VALUE=uri:tel:+1-555-123-4567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "")}},
		"several quoted types":                   {"N:Example;Ada\nTEL;TYPE=\"home\",\"voice\":+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "home")}},
		"types in one quote":                     {"N:Example;Ada\nTEL;TYPE=\"work,voice\":+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "work")}},
		"the most preferred": {"N:Example;Ada\nTEL;PREF=2:+15551234567\nTEL;PREF=1:+15551234568\nEMAIL;PREF=x:a@example.com\nEMAIL;TYPE=\"home,pref\":b@example.com\nEMAIL;PREF=3:c@example.com", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", Email: "a@example.com",
			PhoneNumbers:  []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}, {PhoneNumber: "+15551234568", Primary: true}},
			CustomContext: map[string]any{"other_emails": []any{"b@example.com", "c@example.com"}}}},
		"escaped colon":            {"N:Example;Ada\nURL:http\\://example.com/a\\,b\nNOTE:C\\\\:x", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", Website: "http://example.com/a,b", CustomContext: map[string]any{"note": "C\\:x"}}},
		"picture with a long head": {"N:Example;Ada\nPHOTO;ENCODING=b;TYPE=JPEG;X-ABCROP-RECTANGLE=ABClipRect_1&0&0&320&320&l2m\n BrhiBFpBCBUnPTqXzNw==:AAAA\n BBBB\nTEL:+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "")}},
		"group in another case":    {"N:Example;Ada\nITEM1.TEL:+15551234567\nitem1.X-ABLABEL:Mum", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "Mum")}},
		"a city that is no fax":    {"N:Example;Ada\nitem1.TEL:+15551234567\nitem1.X-ABLabel:Fairfax", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "Fairfax")}},
		"fax in another language":  {"N:Example;Ada\nitem1.TEL:+15551234567\nitem1.X-ABLabel:Geschäftsfax", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example"}},
		"label of Apple":           {"N:Example;Ada\nitem1.TEL:+15551234567\nitem1.X-ABLabel:_$!<Mobile>!$_", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "mobile")}},
		"a line without colon":     {"N:Example;Ada\nnonsense\nTEL:+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "")}},
		"marks on folded lines":    {"N:Example;Ada\nNOTE:x\n END:VCARD\n BEGIN:VCARD\nTEL:+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", ""), CustomContext: map[string]any{"note": "x END:VCARD BEGIN:VCARD"}}},
		"an end of something else": {"N:Example;Ada\nEND:VCALENDAR\nitem1.end:VCARD\nTEL:+15551234567", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", PhoneNumbers: number("+15551234567", "")}},
		"categories with comma":    {"N:Example;Ada\nCATEGORIES:a\\,b,c", contacts.CreateContactInput{FirstName: "Ada", LastName: "Example", Tags: []string{"a,b", "c"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := strings.ReplaceAll("begin:vcard\nversion:2.1\n"+tc.card+"\nend:vcard\n", "\n", "\r\n")
			rows := read(t, strings.NewReader(file), nil)
			if len(rows) != 1 || rows[0].Problems != nil {
				t.Fatalf("got %+v", rows)
			}
			if diff := cmp.Diff(tc.want, rows[0].Contact, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("contact (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBrokenCards reads files in which some cards are broken.
func TestBrokenCards(t *testing.T) {
	t.Parallel()
	card := func(name string) string {
		return "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Example;" + name + "\r\nEND:VCARD\r\n"
	}
	noEnd := strings.TrimSuffix(card("X"), "END:VCARD\r\n")
	for name, tc := range map[string]struct {
		file string
		want []string
	}{
		"no end":               {card("A") + noEnd + card("B"), []string{"A", "!vcard", "B"}},
		"no end at the end":    {card("A") + noEnd, []string{"A", "!vcard"}},
		"900 cards":            {strings.Repeat(card("A"), 450) + noEnd + strings.Repeat(card("A"), 449), append(append(slices.Repeat([]string{"A"}, 450), "!vcard"), slices.Repeat([]string{"A"}, 449)...)},
		"joined files":         {"\ufeff" + card("A") + "\ufeff" + card("B"), []string{"A", "B"}},
		"first line folded":    {strings.Replace(card("A"), "VERSION:3.0\r\n", " ", 1) + card("B"), []string{"A", "B"}},
		"text between cards":   {card("A") + "nonsense\r\n\r\n" + card("B"), []string{"A", "B"}},
		"too long":             {strings.Replace(card("A"), "\r\nN:", "\r\nNOTE:"+strings.Repeat("x", 3000)+"\r\nN:", 1) + card("B"), []string{"!too_long", "B"}},
		"long picture":         {strings.Replace(card("A"), "\r\nN:", "\r\nPHOTO:"+strings.Repeat("x", 300_000)+"\r\nN:", 1) + card("B"), []string{"A", "B"}},
		"NUL":                  {strings.Replace(card("A"), "\r\nN:", "\r\nNOTE:\x00\r\nN:", 1) + card("B"), []string{"!invalid", "B"}},
		"unknown charset":      {strings.Replace(card("A"), "\r\nN:", "\r\nN;CHARSET=klingon;ENCODING=QUOTED-PRINTABLE:", 1) + card("B"), []string{"!encoding", "B"}},
		"agent without an end": {"BEGIN:VCARD\r\nN:A;A\r\nAGENT:\r\nBEGIN:VCARD\r\nN:x\r\n" + card("B"), []string{"!vcard", "B"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := names(read(t, strings.NewReader(tc.file), &contactsio.ReadOptions{MaxRow: 2000}))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWrittenCards writes contacts as cards and reads them.
func TestWrittenCards(t *testing.T) {
	t.Parallel()
	longtest.SkipShort(t)
	for _, version := range []string{"3.0", "4.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				f := contactstest.New(t, nil)
				in := contact(rt, f, 1)
				in.Company, in.Tags = in.Company+strings.Repeat("ä,;:\"", 60)[:100], append(in.Tags, "a;b,c:\"d\"")
				for i := range in.PhoneNumbers {
					in.PhoneNumbers[i].PhoneType = rapid.SampledFrom([]string{"", "mobile", "home", "Boat, \"small\"; x"}).Draw(rt, "type")
				}
				c, err := f.Service.CreateContact(t.Context(), f.Key, in)
				if err != nil {
					rt.Fatal(err)
				}
				var file bytes.Buffer
				if n, err := contactsio.Export(t.Context(), f.Service, f.Key, &file, &contactsio.ExportOptions{Format: contactsio.FormatVCard, VCardVersion: version}); err != nil || n != 1 {
					rt.Fatal(n, err)
				}
				for l := range strings.Lines(file.String()) {
					if len(l) > 77 || !strings.HasSuffix(l, "\r\n") || strings.Contains(strings.TrimSuffix(l, "\r\n"), "\r") {
						rt.Errorf("the line %q", l)
					}
				}
				revised := map[string]string{"3.0": "2006-01-02T15:04:05Z", "4.0": "20060102T150405Z"}[version]
				if rev := "\r\nREV:" + c.UpdatedAt.UTC().Format(revised) + "\r\n"; !strings.Contains(file.String(), rev) {
					rt.Errorf("no %q in\n%s", rev, &file)
				}
				want := contacts.CreateContactInput{
					FirstName: c.FirstName, LastName: c.LastName, Email: c.Email, Company: c.Company, Website: c.Website, ExternalID: c.ExternalID,
					Address: strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(c.Address), City: c.City, State: c.State, ZipCode: c.ZipCode, Country: c.Country, Tags: c.Tags,
				}
				for _, p := range c.PhoneNumbers {
					want.PhoneNumbers = append(want.PhoneNumbers, contacts.PhoneNumberInput{PhoneNumber: p.PhoneNumber, PhoneType: p.PhoneType, Primary: p.Primary && len(c.PhoneNumbers) > 1})
				}
				rows := read(t, bytes.NewReader(file.Bytes()), &contactsio.ReadOptions{UID: true})
				if len(rows) != 1 || rows[0].Problems != nil || rows[0].Notes != nil {
					rt.Fatalf("%+v, of\n%s", rows, &file)
				}
				if diff := cmp.Diff(want, rows[0].Contact, cmpopts.EquateEmpty()); diff != "" {
					rt.Errorf("contact (-want +got):\n%s\nof\n%s", diff, &file)
				}
			})
		})
	}
	t.Run("python3-vobject", testCardsElsewhere)
}
