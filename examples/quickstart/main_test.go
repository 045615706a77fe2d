package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The whole output, with ids and times replaced.
func Example() {
	var out bytes.Buffer
	if err := run(context.Background(), &out); err != nil {
		fmt.Println(err)
	}
	s := regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).ReplaceAllString(out.String(), "ID")
	s = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`).ReplaceAllString(s, "TIME")
	fmt.Println(s)
	// Output:
	// The stored contact:
	//
	// {
	//   "id": "ID",
	//   "account_id": "ID",
	//   "first_name": "John",
	//   "last_name": "Doe",
	//   "email": "john.doe@example.com",
	//   "company": "Acme Corp",
	//   "website": "https://example.com",
	//   "address": "123 Main St",
	//   "city": "San Francisco",
	//   "state": "CA",
	//   "zip_code": "94105",
	//   "country": "US",
	//   "status": "not_contacted",
	//   "stage": "lead",
	//   "team_id": 101,
	//   "tags": [
	//     "important",
	//     "tech"
	//   ],
	//   "phone_numbers": [
	//     {
	//       "id": "ID",
	//       "phone_number": "+15551234567",
	//       "phone_type": "mobile",
	//       "primary": true,
	//       "do_not_call": false
	//     },
	//     {
	//       "id": "ID",
	//       "phone_number": "+15559876543",
	//       "phone_type": "work",
	//       "primary": false,
	//       "do_not_call": false
	//     }
	//   ],
	//   "custom_context": {
	//     "lead_source": "website",
	//     "score": 85
	//   },
	//   "industry_context": {
	//     "employees": 250,
	//     "industry": "technology"
	//   },
	//   "created_at": "TIME",
	//   "updated_at": "TIME",
	//   "version": 1
	// }
	//
	// Calls that fail:
	//
	// no key
	//     401 authentication_required: no API key was provided
	//
	// a blank key
	//     401 authentication_required: no API key was provided
	//
	// a key with one wrong letter
	//     401 invalid_key: the API key is invalid or inactive
	//
	// an expired key
	//     401 invalid_key: the API key is invalid or inactive
	//
	// a revoked key
	//     401 invalid_key: the API key is invalid or inactive
	//
	// a key without the permission
	//     403 permission_denied: the API key lacks the permission can_read_contacts
	//
	// broken JSON
	//     400 invalid_json: invalid JSON: line 1, column 16: unexpected character 'J'
	//
	// no first name
	//     400 missing_first_name: first name is required
	//         first_name (required): is required
	//
	// several invalid fields
	//     400 validation_error: 4 problems, in email, team_id, phone_numbers[1].phone_number, favourite_colour
	//         email (invalid): must be one bare address such as name@example.com
	//         team_id (wrong_type): must be an integer
	//         phone_numbers[1].phone_number (invalid): must start with + and the country code
	//         favourite_colour (unknown_field): is not a field of a contact
	//
	// a team that does not exist
	//     404 team_not_found: team not found
	//
	// a team that the key may not access
	//     403 team_access_denied: no access to this team
	//
	// a cancelled call
	//     500 server_error: an unexpected server error
	//         (errors.Is finds context.Canceled in it)
	//
	// reading a contact that does not exist
	//     404 not_found: not found
	//
	// An error as JSON, as a server sends it:
	//
	// {
	//   "error": "missing_first_name",
	//   "message": "first name is required",
	//   "details": [
	//     {
	//       "field": "first_name",
	//       "code": "required",
	//       "message": "is required"
	//     },
	//     {
	//       "field": "email",
	//       "code": "invalid",
	//       "message": "must be one bare address such as name@example.com"
	//     }
	//   ]
	// }
	//
	// Closed the file, opened it again and read the contact back: it is equal.
}

func TestShowsEveryDocumentedError(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{
		"400 missing_first_name: ", "400 invalid_json: ", "400 validation_error: ",
		"401 authentication_required: ", "401 invalid_key: ",
		"403 permission_denied: ", "403 team_access_denied: ",
		"404 team_not_found: ", "404 not_found: ",
		"500 server_error: ",
	} {
		if !strings.Contains(out.String(), "\n    "+answer) {
			t.Errorf("the output lacks %q:\n%s", answer, &out)
		}
	}
}

func TestLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for _, temp := range []string{"TMP", "TEMP"} { // for Windows
		t.Setenv(temp, dir)
	}
	if err := run(t.Context(), new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %v, %v", left, err)
	}
}
