package packed_test

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/store/internal/packed"
)

const anID = "01890a5d-ac96-774b-bcce-b302099a8057"

var twoPhones = []contacts.PhoneNumber{
	{ID: uuid.MustParse(anID), PhoneNumber: "+15550100", PhoneType: "mobile", Primary: true},
	{PhoneNumber: "+15550101"},
}

const twoPacked = `[["` + anID + `","+15550100","mobile",1],["00000000-0000-0000-0000-000000000000","+15550101","",0]]`

func TestPhonesHaveOneForm(t *testing.T) {
	t.Parallel()
	if got := packed.FormatPhones(twoPhones); got != twoPacked {
		t.Errorf("got  %s\nwant %s", got, twoPacked)
	}
	if got := packed.FormatPhones(nil); got != "" {
		t.Errorf("no phone numbers: got %q, want nothing", got)
	}
}

func TestTagsHaveOneForm(t *testing.T) {
	t.Parallel()
	if got, want := packed.FormatTags([]string{"vip", `a "b" \`, "é\n"}), `["vip","a \"b\" \\","é\n"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := packed.FormatTags([]string{}); got != "" {
		t.Errorf("no tags: got %q, want nothing", got)
	}
}

func TestWhiteSpaceAndEscapesAreRead(t *testing.T) {
	t.Parallel()
	phones, err := packed.ParsePhones(" [ [ \"\\u0030" + anID[1:] + "\",\t\"\\u002b15550100\" , \"mobile\" ,\n1 ] ]\r\n")
	if diff := cmp.Diff(twoPhones[:1], phones); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
	tags, err := packed.ParseTags(`[ "\ud83d\ude00" , "\"\\\/\b\f\n\r\t" ]`)
	if diff := cmp.Diff([]string{"😀", "\"\\/\b\f\n\r\t"}, tags); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}

func TestWrongKindsAreErrors(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]string{
		"null":               `null`,
		"an object":          `{}`,
		"an empty array":     `[]`,
		"null for a phone":   `[null]`,
		"id null":            `[[null,"+15550100","",1]]`,
		"id a number":        `[[1,"+15550100","",1]]`,
		"id without dashes":  `[["01890a5dac96774bbcceb302099a8057","+15550100","",1]]`,
		"id of another text": `[["01890a5d-ac96-774b-bcce-b302099a805x","+15550100","",1]]`,
		"number null":        `[["` + anID + `",null,"",1]]`,
		"number a number":    `[["` + anID + `",15550100,"",1]]`,
		"type null":          `[["` + anID + `","+15550100",null,1]]`,
		"primary null":       `[["` + anID + `","+15550100","",null]]`,
		"primary a text":     `[["` + anID + `","+15550100","","1"]]`,
		"primary true":       `[["` + anID + `","+15550100","",true]]`,
		"primary 2":          `[["` + anID + `","+15550100","",2]]`,
		"primary 10":         `[["` + anID + `","+15550100","",10]]`,
		"an element less":    `[["` + anID + `","+15550100",""]]`,
		"an element more":    `[["` + anID + `","+15550100","",1,0]]`,
		"a trailing comma":   `[["` + anID + `","+15550100","",1],]`,
		"not closed":         `[["` + anID + `","+15550100","",1]`,
		"cut short":          `[["` + anID + `","+1555`,
		"cut after escape":   `[["` + anID + `","\`,
		"more after it":      `[["` + anID + `","+15550100","",1]] 1`,
		"white space alone":  ` `,
	} {
		if got, err := packed.ParsePhones(s); !errors.Is(err, packed.ErrSyntax) || got != nil {
			t.Errorf("%s: got %v, %v; want ErrSyntax", name, got, err)
		}
	}
	for name, s := range map[string]string{
		"null":              `null`,
		"an empty array":    `[]`,
		"null for a tag":    `[null]`,
		"a number":          `["vip",1]`,
		"a nested array":    `[["vip"]]`,
		"a trailing comma":  `["vip",]`,
		"no comma":          `["vip""new"]`,
		"not closed":        `["vip"`,
		"a bad escape":      `["\x"]`,
		"half a surrogate":  `["\ud83d"]`,
		"a control":         "[\"\n\"]",
		"not UTF-8":         "[\"\xff\"]",
		"not UTF-8, quoted": "[\"\\n\xff\"]",
		"more after it":     `["vip"]]`,
	} {
		if got, err := packed.ParseTags(s); !errors.Is(err, packed.ErrSyntax) || got != nil {
			t.Errorf("%s: got %v, %v; want ErrSyntax", name, got, err)
		}
	}
}

func somePhones() *rapid.Generator[[]contacts.PhoneNumber] {
	return rapid.SliceOf(rapid.Custom(func(t *rapid.T) contacts.PhoneNumber {
		return contacts.PhoneNumber{
			ID:          uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
			PhoneNumber: rapid.String().Draw(t, "number"),
			PhoneType:   rapid.String().Draw(t, "type"),
			Primary:     rapid.Bool().Draw(t, "primary"),
		}
	}))
}

func TestEveryPhoneNumberComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := somePhones().Draw(t, "phones")
		s := packed.FormatPhones(want)
		got, err := packed.ParsePhones(s)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) == 0 {
			want = nil // empty comes back as nil
		} else if !json.Valid([]byte(s)) {
			t.Errorf("not JSON: %s", s)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestEveryTagComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.String()).Draw(t, "tags")
		s := packed.FormatTags(want)
		got, err := packed.ParseTags(s)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) == 0 {
			want = nil // empty comes back as nil
		} else if !json.Valid([]byte(s)) {
			t.Errorf("not JSON: %s", s)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// FuzzParsePhones compares with encoding/json: what is read is JSON, it means the
// same there, and it comes back. What encoding/json reads as phone numbers is
// read.
func FuzzParsePhones(f *testing.F) {
	f.Add(twoPacked)
	f.Add(`[ ["` + anID + `", "\u002b\ud83d\ude00", "\"", 0] ]`)
	f.Add(`[["` + anID + `","+15550100","",true]]`)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := packed.ParsePhones(s)
		want := phonesOfJSON(s)
		if err != nil {
			if want != nil {
				t.Fatalf("got %v for %q, which means %v", err, s, want)
			}
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("of %q (-encoding/json +packed):\n%s", s, diff)
		}
		again, err := packed.ParsePhones(packed.FormatPhones(got))
		if diff := cmp.Diff(got, again); diff != "" || err != nil {
			t.Fatalf("does not come back: %v, (-first +again):\n%s", err, diff)
		}
	})
}

// phonesOfJSON reads the packed form with encoding/json; nil: it is none.
func phonesOfJSON(s string) (phones []contacts.PhoneNumber) {
	if !utf8.ValidString(s) {
		return nil
	}
	var list [][]json.RawMessage
	if json.Unmarshal([]byte(s), &list) != nil {
		return nil
	}
	for _, e := range list {
		const fields = 4
		if len(e) != fields {
			return nil
		}
		var texts [3]*string
		for i := range texts {
			if json.Unmarshal(e[i], &texts[i]) != nil || texts[i] == nil || hasHalf(e[i]) {
				return nil
			}
		}
		id, err := uuid.Parse(*texts[0])
		primary := string(e[3])
		if err != nil || len(*texts[0]) != len(anID) || primary != "0" && primary != "1" {
			return nil
		}
		phones = append(phones, contacts.PhoneNumber{
			ID: id, PhoneNumber: *texts[1], PhoneType: *texts[2], Primary: primary == "1",
		})
	}
	return phones
}

// FuzzParseTags is FuzzParsePhones for tags.
func FuzzParseTags(f *testing.F) {
	f.Add(`["vip","a \"b\" \\"]`)
	f.Add(` [ "\ud83d\ude00" ] `)
	f.Add(`["vip",null]`)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := packed.ParseTags(s)
		want := tagsOfJSON(s)
		if err != nil {
			if want != nil {
				t.Fatalf("got %v for %q, which means %q", err, s, want)
			}
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("of %q (-encoding/json +packed):\n%s", s, diff)
		}
		again, err := packed.ParseTags(packed.FormatTags(got))
		if diff := cmp.Diff(got, again); diff != "" || err != nil {
			t.Fatalf("does not come back: %v, (-first +again):\n%s", err, diff)
		}
	})
}

// tagsOfJSON reads the packed form with encoding/json; nil: it is none.
func tagsOfJSON(s string) (tags []string) {
	var list []json.RawMessage
	if !utf8.ValidString(s) || json.Unmarshal([]byte(s), &list) != nil {
		return nil
	}
	for _, e := range list {
		var tag *string
		if json.Unmarshal(e, &tag) != nil || tag == nil || hasHalf(e) {
			return nil
		}
		tags = append(tags, *tag)
	}
	return tags
}

// hasHalf reports whether a JSON string holds an escape of half a surrogate
// pair, which encoding/json replaces where packed refuses it.
func hasHalf(quoted []byte) bool { return !jsontext.Value(quoted).IsValid() }

func BenchmarkParsePhones(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := packed.ParsePhones(twoPacked); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFormatPhones(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		packed.FormatPhones(twoPhones)
	}
}
