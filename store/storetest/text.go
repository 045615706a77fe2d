package storetest

import (
	"encoding/json"
	"strings"

	"example.com/contacts"
)

// hostile are texts that stores are known to change or to refuse.
var hostile = []string{
	" leading and trailing ", "\tTabs\t", "line\nfeed", "carriage\r\nreturn", "trailing newline\n",
	`'`, `''`, `"`, "`", `\`, `\\`, `\n`, `\u0041`, `$1`, `?`, `:name`, `%`, `%s`, `_`, `*`, `;`, `--`, `/* */`,
	`Robert'); DROP TABLE contact;--`, `${jndi:ldap://x}`, `{{.}}`, `<b>&amp;</b>`, `a,b`, `{a,b}`, `a|b`,
	"NULL", "null", "nil", "true", "0", "-0", "007", "1e3", "0x1F", "NaN", "Infinity", "12345678901234567890", "1.10",
	"2026-03-01", "12:00", "{}", `{"b":1,"a":2}`, "[]", `[1, 2]`, `""`,
	"Zoë", "Zoe\u0308", "\u212B \u00C5 A\u030A", "Ａ ﬁ ①", "Ελλάς", "Straße STRASSE", "İıIi", "日本語", "한국어 \u1112\u1161\u11ab",
	"مرحبا", "\u202Eright to left\u202C", "\u200Bzero\u200Dwidth\uFEFF", "\uFEFFbyte order mark", "e\u0301\u0301\u0301\u0301",
	"👍🏽 👨‍👩‍👧‍👦 🇩🇪", "\U0010FFFF", "\uFFFD", "\uFFFE", "\u0001\u001f\u007f\u0085\u2028",
	strings.Repeat("x", 64<<10), strings.Repeat("👍\u0308", 8<<10),
}

const textRule = "Text keeps every byte and its letter case."

var textCases = []testCase{
	{
		"hostile text in contacts",
		textRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			var records []*contacts.ContactRecord
			for _, text := range hostile {
				inJSON, err := json.Marshal(map[string]string{text: text})
				if err != nil {
					t.Fatal(err)
				}
				records = append(records, &contacts.ContactRecord{
					Contact: contacts.Contact{
						ID: newID(), AccountID: a,
						FirstName: text, LastName: text, Email: text, Company: text, Website: text, Address: text, City: text,
						State: text, ZipCode: text, Country: text, Status: text, Stage: text, ExternalID: text,
						Tags:         []string{text, text + text},
						PhoneNumbers: []contacts.PhoneNumber{{ID: newID(), PhoneNumber: text, PhoneType: text, Primary: true}},
						CreatedAt:    noon, UpdatedAt: noon,
					},
					CustomContext:   string(inJSON),
					IndustryContext: string(inJSON),
				})
			}
			s.create(t, records...)
			s.wantContacts(t, records...)
		},
	},
	{
		"hostile text in the directory",
		textRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			var add contacts.Directory
			for i, text := range hostile {
				account := newAccount()
				account.Name = text
				team := newTeam(a, int64(i+1))
				team.Name = text
				k := newKey(a)
				k.Name = text
				k.Permissions = []contacts.Permission{contacts.Permission(text), contacts.Permission(text + text)}
				add.Accounts = append(add.Accounts, account)
				add.Teams = append(add.Teams, team)
				add.Keys = append(add.Keys, k)
			}
			wantSame(t, "AddToDirectory", add, s.add(t, add))
			d := s.directory(t)
			d.Accounts = d.Accounts[1:] // the tenant
			wantSame(t, "ListDirectory", add, d)
			for _, k := range add.Keys {
				s.wantKey(t, "FindKey", k)
			}
		},
	},
	{
		"contexts verbatim",
		textRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			var records []*contacts.ContactRecord
			for _, text := range []string{
				`{}`,
				`{"a": 1,  "b":2}`, // the spaces are the caller's
				`{"n":[0.10,1e400,-0,123456789012345678901234567890,1E+2]}`,
				`{"s":"\u00e9 \/ é 👍 \ud83d\udc4d"}`,
				`{"":{"":[[],{},null,true,""]}}`,
				`{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`,
				`{"long":"` + strings.Repeat("é", 32<<10) + `"}`,
			} {
				r := newContact(a)
				r.CustomContext = text
				records = append(records, r)
				r = newContact(a)
				r.IndustryContext = text
				records = append(records, r)
			}
			s.create(t, records...)
			s.wantContacts(t, records...)
		},
	},
	{
		"letter case",
		textRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			k := newKey(a)
			k.Permissions = []contacts.Permission{"Read", "read", "READ"}
			s.add(t, contacts.Directory{Keys: []contacts.KeyRecord{k}})
			s.wantKey(t, "FindKey", k)

			lower, upper := newContact(a), newContact(a)
			lower.Contact.Email, upper.Contact.Email = "ada@example.com", "ADA@example.com"
			lower.Contact.Tags = []string{"vip", "VIP", "Vip", "straße", "STRASSE", "ı", "i", "I", "İ"}
			upper.Contact.Tags = []string{"VIP"}
			s.create(t, lower, upper)
			s.wantContacts(t, lower, upper)
		},
	},
	{
		"alike and different",
		textRule,
		func(t *test, s *store) {
			a := s.tenant(t)
			// Pairs that a collation or a normalisation makes one.
			alike := []string{"Zoë", "Zoe\u0308", "Zoe", "x", "x ", " x", "x\u200b", "Å", "\u212b", "１", "1", "01", "1.0"}
			together := newContact(a)
			together.Contact.Tags = alike
			records := []*contacts.ContactRecord{together}
			for _, text := range alike {
				r := newContact(a)
				r.Contact.Tags = []string{text}
				r.Contact.Status = text
				records = append(records, r)
			}
			s.create(t, records...)
			s.wantContacts(t, records...)
		},
	},
}
