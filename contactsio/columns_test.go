package contactsio_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/contacts/contactsio"
	"example.com/contacts/contactstest"
)

// TestHeaderMaps checks the field of each name, by itself, in a file that its source
// is told by. A name without a field is ignored, and an import says so.
func TestHeaderMaps(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	for _, tc := range []struct{ source, signature, names string }{
		{"contacts", "first_name,external_id", `
			last_name=last_name; email=email; company=company; website=website; address=address; city=city; state=state; zip_code=zip_code;
			country=country; status=status; stage=stage; team_id=team_id; tags=tags; full_name=full_name; phone_number=phone_number;
			phone_type=phone_type; primary=primary; do_not_call=do_not_call; phone_number_2=phone_number; phone_type_50=phone_type;
			more_phone_numbers=more_phone_numbers; custom_context=custom_context; industry_context=industry_context;
			custom_context.Pet=custom_context.Pet; industry_context.plan.v2=industry_context.plan.v2;
			id=; account_id=; version=; created_at=; updated_at=; dnc_date=; dnc_reason_2=; error_line=; error_field=; error_code=; error_message=`},
		{"google", "Phone 1 - Label,First Name", `
			Middle Name=first_name; Last Name=last_name; Organization Name=company; Organization Title=custom_context.title; Notes=custom_context.note;
			Labels=tags; E-mail 1 - Label=email; E-mail 7 - Value=email; Phone 1 - Value=phone_number; Phone 12 - Value=phone_number_2;
			Address 1 - Street=address; Address 2 - City=city; Address 1 - Region=state; Address 1 - Postal Code=zip_code; Address 1 - Country=country;
			Website 1 - Value=website; Custom Field 1 - Label=custom_context; Custom Field 1 - Value=custom_context;
			Phonetic First Name=; Name Prefix=; Nickname=; Organization Department=; Birthday=; Photo=; Address 1 - PO Box=; Relation 1 - Value=`},
		{"google (before 2024)", "Given Name,Phone 1 - Type", `
			Name=full_name; Additional Name=first_name; Family Name=last_name; Group Membership=tags; Organization 1 - Name=company;
			Organization 1 - Title=custom_context.title; E-mail 1 - Value=email; Phone 1 - Value=phone_number; Yomi Name=; Gender=`},
		{"outlook", "E-mail Address,Business Phone", `
			First Name=first_name; Middle Name=first_name; Last Name=last_name; Company=company; Job Title=custom_context.title; Web Page=website;
			Categories=tags; Notes=custom_context.note; Business Street=address; Business Street 2=address; Home Street 3=address; Other City=city;
			Business State=state; Home Postal Code=zip_code; Business Country=country; Other Country/Region=country; E-mail 2 Address=email;
			E-mail 3 Address=email; Mobile Phone=phone_number_2; Business Phone 2=phone_number_2; Home Phone=phone_number_2; Home Phone 2=phone_number_2;
			Primary Phone=phone_number_2; Other Phone=phone_number_2; Car Phone=phone_number_2; Company Main Phone=phone_number_2;
			Title=; Suffix=; Business Fax=; Home Fax=; Other Fax=; Pager=; Telex=; E-mail Display Name=; Birthday=`},
		{"hubspot", "Record ID,First Name", `
			Last Name=last_name; Email=email; Phone Number=phone_number; Mobile Phone Number=phone_number; Company Name=company; Associated Company=company;
			Website URL=website; Street Address=address; City=city; State/Region=state; Postal Code=zip_code; Country/Region=country; Tags=tags;
			Lifecycle Stage=stage; Lead Status=status; Unsubscribed from all email=custom_context.email_opt_out; Contact owner=; Create Date=; Last Activity Date=`},
		{"salesforce", "Contact ID,Mailing Street", `
			FirstName=first_name; Last Name=last_name; Email=email; Account Name=company; Phone=phone_number; MobilePhone=phone_number; Home Phone=phone_number;
			MailingCity=city; Mailing State/Province=state; Mailing Zip/Postal Code=zip_code; MailingPostalCode=zip_code; MailingCountry=country;
			DoNotCall=do_not_call; Do Not Call=do_not_call; HasOptedOutOfEmail=custom_context.email_opt_out; Email Opt Out=custom_context.email_opt_out;
			Fax=; Account ID=; Lead Source=`},
		{"mailchimp", "LEID,EUID", `
			Email Address=email; First Name=first_name; Last Name=last_name; Address=address; Phone Number=phone_number; TAGS=tags;
			NOTES=custom_context.note; UNSUB_TIME=custom_context.email_opt_out; MEMBER_RATING=; OPTIN_TIME=; OPTIN_IP=; CONFIRM_TIME=; LATITUDE=; GMTOFF=; CC=; REGION=`},
		{"", "Company", `
			Name=full_name; Full Name=full_name; Email=email; E-mail=email; e_mail=email; Phone=phone_number; MOBILE=phone_number; Telephone=phone_number;
			Street=address; Zip=zip_code; Postcode=zip_code; Town=city; Province=state; DNC=do_not_call; Opted out of calls=do_not_call;
			phone_number_3=phone_number; Favourite colour=; Fax=`},
	} {
		for pair := range strings.SplitSeq(tc.names, ";") {
			name, field, _ := strings.Cut(strings.TrimSpace(pair), "=")
			r, err := contactsio.NewReader(strings.NewReader(tc.signature+","+name+"\nx,y,z\n"), nil)
			if err != nil {
				t.Errorf("%s: %s: %v", tc.source, name, err)
				continue
			}
			p, err := r.Preview(0)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Columns[len(p.Columns)-1]; got.Field != field || p.Source != tc.source {
				t.Errorf("%s: %s is %q of %q, want %q", tc.source, name, got.Field, p.Source, field)
			}
			s, err := contactsio.Import(t.Context(), f.Service.DryRun(), f.Key, r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(s.Ignored, name) != (field == "") {
				t.Errorf("%s: %s becomes %q, and the columns that the import ignores are %q", tc.source, name, field, s.Ignored)
			}
		}
	}
}

// TestNamesOfOneColumn checks names that are compared without letter case, spaces,
// underscores, dashes and dots, and what is done with those that occur twice.
func TestNamesOfOneColumn(t *testing.T) {
	t.Parallel()
	_, err := contactsio.NewReader(strings.NewReader("FIRST name,last-name,Nick,Nick,first.name\nA,B,C,D,E\n"), nil)
	if err == nil || !strings.Contains(err.Error(), "first_name") {
		t.Errorf("two columns for the first name: %v", err)
	}
	r, err := contactsio.NewReader(strings.NewReader("FIRST name,last-name,E-Mail,Nick,E-Mail\nA,B,a@example.com,C,b@example.com\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Preview(10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range p.Columns {
		got = append(got, c.Name+"="+c.Field)
	}
	if want := []string{"FIRST name=first_name", "last-name=last_name", "E-Mail=email", "Nick=", "E-Mail (2)="}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTwoLabels takes the first label of a value, and names the column of the second one.
func TestTwoLabels(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	const file = "First Name,Phone 1 - Label,Phone 1 - Type,Phone 1 - Value,Custom Field 1 - Label,Custom Field 1 - Type,Custom Field 1 - Value,E-mail 1 - Label,E-mail 1 - Type,E-mail 1 - Value\n" +
		"Ann,Mobile,Work,+15551230001,Pet,Child,Rex,,Home,a@example.com\n"
	if c := read(t, strings.NewReader(file), nil)[0].Contact; c.PhoneNumbers[0].PhoneType != "mobile" || c.CustomContext["Pet"] != "Rex" {
		t.Errorf("got %+v", c)
	}
	s, err := importFile(t, f, strings.NewReader(file), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Phone 1 - Type", "Custom Field 1 - Type"}, s.Ignored); diff != "" {
		t.Errorf("ignored columns (-want +got):\n%s", diff)
	}
}

// TestColumnWithoutName names a column that has no name by its place, if it holds
// something.
func TestColumnWithoutName(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	r, err := contactsio.NewReader(strings.NewReader("first_name,,last_name,, \nA,,B,C,\nD,,E,F,\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Preview(10)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Columns[3]; got != (contactsio.Column{Name: "(column 4)", Filled: 1}) {
		t.Errorf("got %+v", got)
	}
	s, err := contactsio.Import(t.Context(), f.Service, f.Key, r, nil)
	if want := []string{"(column 4)"}; err != nil || !slices.Equal(s.Ignored, want) {
		t.Errorf("the import ignores %q, want %q; %v", s.Ignored, want, err)
	}
}

// TestIgnoredNamesAreBounded keeps the start of a long name, also over a place to go on at.
func TestIgnoredNamesAreBounded(t *testing.T) {
	t.Parallel()
	f := contactstest.New(t, nil)
	long := strings.Repeat("x", 98) + strings.Repeat("ä", 10_000)
	file := "first_name," + long + "\nA,\nB,\n!\x00,\nC,\n"
	want := []string{strings.Repeat("x", 98) + "ä…"}
	first, err := importFile(t, f, strings.NewReader(file), nil, &contactsio.ImportOptions{StopAfter: 1})
	if err != nil || first.Next == nil || !slices.Equal(first.Ignored, want) {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := importFile(t, f, strings.NewReader(file), &contactsio.ReadOptions{From: *first.Next}, nil)
	if err != nil || second.Created != 3 || !slices.Equal(second.Ignored, want) {
		t.Errorf("%+v, %v", second, err)
	}
}

// TestWhatIsSaidOfNumbers checks which numbers a column marks, or gives a type.
func TestWhatIsSaidOfNumbers(t *testing.T) {
	t.Parallel()
	for header, tc := range map[string]struct {
		cells string
		want  []string
	}{
		"first_name,phone,do_not_call":                           {"1,yes", []string{"1 DNC"}},
		"first_name,Do Not Call,Phone,Mobile":                    {"yes,1,2", []string{"1 DNC", "2 mobile DNC"}},
		"first_name,last_name,phone_number,Mobile,DNC":           {",1,2,x", []string{"1 DNC", "2 mobile DNC"}},
		"first_name,phone,phone_number,do_not_call":              {"1,2,true", []string{"1 DNC", "2 DNC"}},
		"first_name,do_not_call,phone_number,phone_number_2":     {"yes,1,2", []string{"1 DNC", "2"}},
		"first_name,phone,phone_2,do_not_call_2":                 {"1,2,yes", []string{"1", "2 DNC"}},
		"first_name,phone_number,do_not_call,phone_number_2":     {",yes,2", []string{"2 DNC"}},
		"first_name,phone_number,do_not_call_2":                  {"1,yes", []string{"1 DNC"}},
		"first_name,phone_number,do_not_call,more_phone_numbers": {`,yes,"[{""phone_number"":""2""}]"`, []string{"2 DNC"}},
		"first_name,do_not_call,phone_number,more_phone_numbers": {`yes,1,"[{""phone_number"":""2""}]"`, []string{"1 DNC", "2"}},
		"first_name,Mobile,do_not_call,more_phone_numbers":       {`1,yes,"[{""phone_number"":""2""}]"`, []string{"1 mobile DNC", "2 DNC"}},
		"Name,Phone,Do Not Call,DNC":                             {"1,yes,no", []string{"1 DNC"}},
		"Name,Phone,DNC,Opted out of calls":                      {"1,no,yes", []string{"1 DNC"}},
		"Name,Phone,Mobile,Phone Type":                           {"1,2,boat", []string{"1 boat", "2 mobile"}},
		"first_name,phone_type,phone":                            {"boat,1", []string{"1 boat"}},
		"Name,Phone,Phone 1 - Type,Phone 1 - Value":              {"1,boat,2", []string{"1", "2 boat"}},
	} {
		var cells []string
		for cell := range strings.SplitSeq(tc.cells, ",") {
			cells = append(cells, strings.NewReplacer("1", "+15551230001", "2", "+15551230002").Replace(cell))
		}
		row := read(t, strings.NewReader(header+"\nAnn,"+strings.Join(cells, ",")+"\n"), nil)[0]
		var got []string
		for _, p := range row.Contact.PhoneNumbers {
			number := strings.TrimSpace(strings.TrimPrefix(p.PhoneNumber, "+1555123000") + " " + p.PhoneType)
			if p.DoNotCall {
				number += " DNC"
			}
			got = append(got, number)
		}
		if !slices.Equal(got, tc.want) || row.Problems != nil {
			t.Errorf("%s: got %q, %v, want %q", header, got, row.Problems, tc.want)
		}
	}
	opted := read(t, strings.NewReader("LEID,EUID,First Name,UNSUB_TIME,Email Opt Out\n1,2,Ann,2026-01-01,no\n"), nil)[0]
	if opted.Contact.CustomContext["email_opt_out"] != true {
		t.Errorf("the opt-out is lost: %v", opted.Contact.CustomContext)
	}
}

// A county is the state where the file has no other.
func TestCounty(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"first_name,county\nA,Kent\n":                     "Kent",
		"first_name,county,state\nA,Orange,CA\n":          "CA",
		"first_name,state,county\nA,CA,Orange\n":          "CA",
		"first_name,County,county,state\nA,a,Orange,CA\n": "CA",
		"first_name,County,county\nA,Kent,Sussex\n":       "Kent",
		"first_name,Mailing State,county\nA,CA,Orange\n":  "Orange",
	} {
		rows := read(t, strings.NewReader(file), nil)
		if len(rows) != 1 || rows[0].Problems != nil || rows[0].Contact.State != want {
			t.Errorf("%q: %+v, want the state %q", file, rows, want)
		}
	}
}
