package contactsio_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/contacts/contactsio"
)

// checkFile reads any file: there is no panic, and each row is right or says why not.
func checkFile(t *testing.T, file string, opts *contactsio.ReadOptions) {
	r, err := contactsio.NewReader(strings.NewReader(file), opts)
	if err != nil {
		return
	}
	number, offset := 0, int64(-1)
	for row, err := range r.Rows() {
		if err != nil {
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: %v", file, err)
			}
			return
		}
		number++
		if row.Number != number || row.Offset <= offset || len(row.Raw) == 0 {
			t.Errorf("%q: row %d is %+v", file, number, row)
		}
		offset = row.Offset
		if row.Problems == nil && !utf8.ValidString(row.Contact.FirstName+row.Contact.LastName) {
			t.Errorf("%q: row %d holds invalid text", file, number)
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, file := range []string{
		"first_name,phone_number,tags\nAda,+15551234567,a;b\n", "sep=;\nName;E-mail\n\"A;\n\";x\n\"", "\xff\xfef\x00i\x00", "Given Name,Phone 1 - Type,Phone 1 - Value\nA,* ,1 ::: 2\n",
		"first_name,custom_context,more_phone_numbers\nA,{},[]\n",
	} {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file string) {
		checkFile(t, file, &contactsio.ReadOptions{Format: contactsio.FormatCSV, MaxRow: 200, Region: "US"})
	})
}

func FuzzVCard(f *testing.F) {
	for _, card := range []string{
		"BEGIN:VCARD\nVERSION:2.1\nN;ENCODING=QUOTED-PRINTABLE:=C3=\n=BC;A\nTEL;CELL:+15551234567\nEND:VCARD\n",
		"BEGIN:VCARD\nitem1.TEL;TYPE=\"a,b\";PREF=1:tel:+15551234567;ext=1\nitem1.X-ABLabel:_$!<Home>!$_\nAGENT:\nBEGIN:VCARD\nEND:VCARD\nPHOTO:x\n y\nADR:;;a\\,b;c\nEND:VCARD",
	} {
		f.Add(card)
	}
	f.Fuzz(func(t *testing.T, card string) {
		checkFile(t, card, &contactsio.ReadOptions{Format: contactsio.FormatVCard, MaxRow: 500, UID: true})
	})
}

func FuzzJSONLines(f *testing.F) {
	f.Add("{\"first_name\":\"A\",\"phone_numbers\":[{\"phone_number\":\"+1\"}],\"custom_context\":{\"a\":[1.0]}}\n[]\n{")
	f.Fuzz(func(t *testing.T, file string) {
		checkFile(t, file, &contactsio.ReadOptions{Format: contactsio.FormatJSONLines, MaxRow: 500})
	})
}
