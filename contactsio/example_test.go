package contactsio_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"strings"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/store/memory"
)

// serve returns a service with an account, and a key of it.
func serve(ctx context.Context) (svc *contacts.Service, key string) {
	store := memory.New()
	admin := contacts.NewAdmin(store, nil)
	account, err := admin.CreateAccount(ctx, "Acme Corp")
	if err != nil {
		log.Fatal(err)
	}
	key, _, err = admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID: account.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionManageDoNotCall}, AllTeams: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	if svc, err = contacts.New(store, nil); err != nil {
		log.Fatal(err)
	}
	return svc, key
}

func ExampleImport() {
	ctx := context.Background()
	svc, key := serve(ctx)
	file := strings.NewReader("First Name;Last Name;Mobile;Shoe size\nAda;Example;+1 555 123 4567;38\nBob;Example;555 123;42\n")

	r, err := contactsio.NewReader(file, nil)
	if err != nil {
		log.Fatal(err)
	}
	var refused bytes.Buffer
	summary, err := contactsio.Import(ctx, svc, key, r, &contactsio.ImportOptions{Refused: &refused})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.ReplaceAll(refused.String(), "\r\n", "\n"))
	fmt.Println(summary.Rows, "rows:", summary.Created, "created,", summary.Refused, "refused; ignored:", summary.Ignored)
	// Output:
	// error_line;error_field;error_code;error_message;First Name;Last Name;Mobile;Shoe size
	// 3;phone_numbers[0].phone_number;invalid;phone_numbers[0].phone_number: must start with + and the country code, or the option Region must say whose number it is;Bob;Example;555 123;42
	//
	// 2 rows: 1 created, 1 refused; ignored: [Shoe size]
}

func ExampleReader_Preview() {
	r, err := contactsio.NewReader(strings.NewReader("Name,E-mail,Nickname\nAda Example,ada@example.com,\n"), nil)
	if err != nil {
		log.Fatal(err)
	}
	preview, err := r.Preview(10)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range preview.Columns {
		fmt.Printf("%s: %q\n", c.Name, c.Field)
	}
	fmt.Println(preview.Rows[0].Contact.LastName, preview.Notes[0].Code)
	// Output:
	// Name: "full_name"
	// E-mail: "email"
	// Nickname: ""
	// Example default_country
}

func ExampleReader_Rows() {
	r, err := contactsio.NewReader(strings.NewReader("BEGIN:VCARD\nVERSION:3.0\nN:Example;Ada\nTEL;TYPE=CELL:+1 555 123 4567\nEND:VCARD\n"), nil)
	if err != nil {
		log.Fatal(err)
	}
	for row, err := range r.Rows() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(row.Contact.FirstName, row.Contact.PhoneNumbers[0].PhoneNumber, row.Contact.PhoneNumbers[0].PhoneType)
	}
	// Output: Ada +15551234567 mobile
}

func ExampleNewReader() {
	file := strings.NewReader("Vorname;Nachname;Telefon\nAda;Example;030 12345678\n")
	r, err := contactsio.NewReader(file, &contactsio.ReadOptions{
		Map:    map[string]string{"Vorname": "first_name", "Nachname": "last_name", "Telefon": "phone_number"},
		Region: "DE",
	})
	if err != nil {
		log.Fatal(err)
	}
	preview, err := r.Preview(1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(preview.Rows[0].Contact.PhoneNumbers[0].PhoneNumber)
	// Output: +493012345678
}

func ExampleExport() {
	ctx := context.Background()
	svc, key := serve(ctx)
	_, err := svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "=Ada", Tags: []string{"vip", "new"}})
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	n, err := contactsio.Export(ctx, svc, key, &file, &contactsio.ExportOptions{Columns: []string{"first_name", "country", "tags"}})
	fmt.Print(strings.ReplaceAll(file.String(), "\r\n", "\n"))
	fmt.Println(n, err)
	// Output:
	// first_name,country,tags
	// '=Ada,US,vip;new
	// 1 <nil>
}
