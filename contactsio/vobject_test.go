package contactsio_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/contacts"
	"example.com/contacts/contactsio"
	"example.com/contacts/contactstest"
)

// vobjectPython returns the Python that has Debian's python3-vobject.
func vobjectPython(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if exec.CommandContext(t.Context(), path, "-c", "import vobject").Run() == nil {
			return path
		}
	}
	t.Skip("left out: python3-vobject is not installed")
	return ""
}

// A foreignCard is what another program takes a card for.
type foreignCard struct {
	FirstName    string     `json:"first_name"`
	LastName     string     `json:"last_name"`
	Company      string     `json:"company"`
	Email        string     `json:"email"`
	Website      string     `json:"website"`
	ExternalID   string     `json:"external_id"`
	Address      string     `json:"address"`
	City         string     `json:"city"`
	State        string     `json:"state"`
	ZipCode      string     `json:"zip_code"`
	Country      string     `json:"country"`
	Tags         []string   `json:"tags"`
	PhoneNumbers []string   `json:"phone_numbers"`
	PhoneTypes   [][]string `json:"phone_types"`
	Labels       []string   `json:"labels"`
}

// testCardsElsewhere writes contacts as cards and has another program read them.
func testCardsElsewhere(t *testing.T) {
	t.Parallel()
	python := vobjectPython(t)
	f := contactstest.New(t, nil)
	long := strings.Repeat("ä,;:\" ", 40)
	var want []foreignCard
	for i, s := range append(hostile, "a,b;c:d\"e\"\\f", "\\,\\;\\n") {
		in := contacts.CreateContactInput{
			FirstName: "A" + s, LastName: s, Company: s, Address: "A" + s + "\n\n" + long, City: s, State: s, ZipCode: fmt.Sprint(i), Country: s, ExternalID: fmt.Sprint(i, " ", s),
			Email: fmt.Sprintf("a%d@example.com", i), Website: "https://example.com/?a=b;c,d", Tags: []string{"VIP", "a;b,c:\"d\""},
			PhoneNumbers: []contacts.PhoneNumberInput{
				{PhoneNumber: fmt.Sprintf("+1555%07d", 2*i), PhoneType: "mobile"}, {PhoneNumber: fmt.Sprintf("+1555%07d", 2*i+1), PhoneType: "Boat, \"small\"; x", Primary: true},
			},
		}
		c, err := f.Service.CreateContact(t.Context(), f.Key, in)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		want = append(want, foreignCard{
			c.FirstName, c.LastName, c.Company, c.Email, c.Website, c.ExternalID, c.Address, c.City, c.State, c.ZipCode, c.Country, c.Tags,
			[]string{c.PhoneNumbers[0].PhoneNumber, c.PhoneNumbers[1].PhoneNumber}, [][]string{{"CELL", "VOICE"}, {"PREF"}}, []string{c.PhoneNumbers[1].PhoneType},
		})
	}
	var file, out, log bytes.Buffer
	if n, err := contactsio.Export(t.Context(), f.Service, f.Key, &file, &contactsio.ExportOptions{Format: contactsio.FormatVCard}); err != nil || n != len(want) {
		t.Fatal(n, err)
	}
	reader := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "cards.py"))
	reader.Stdin, reader.Stdout, reader.Stderr = &file, &out, &log
	if err := reader.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	var got []foreignCard
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	byID := cmpopts.SortSlices(func(a, b foreignCard) bool { return a.Email < b.Email })
	if diff := cmp.Diff(want, got, byID, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("cards (-written +read):\n%s", diff)
	}
}
