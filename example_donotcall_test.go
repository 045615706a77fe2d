package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"
	"time"

	"example.com/contacts"
)

// serveLedger is serve with a key that may manage the do-not-call ledger, and a
// clock that stands at 1 November 2026.
func serveLedger() (svc *contacts.Service, key string) {
	svc, admin, acme, _ := serve(&contacts.Options{Now: func() time.Time { return time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC) }})
	key, _, err := admin.IssueKey(context.Background(), contacts.IssueKeyInput{AccountID: acme.ID, Name: "dialler", AllTeams: true, Permissions: []contacts.Permission{
		contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionManageDoNotCall,
	}})
	if err != nil {
		log.Fatal(err)
	}
	return svc, key
}

func ExampleService_CanCall() {
	ctx := context.Background()
	svc, key := serveLedger()
	svc.BlockCalls(ctx, key, contacts.DoNotCallInput{PhoneNumber: "+12025550100", Reason: "asked on the phone"})
	for _, number := range []string{"+12025550100", "+12025550101"} {
		err := svc.CanCall(ctx, key, number)
		if e, ok := errors.AsType[*contacts.Error](err); ok && e.DoNotCall != nil {
			fmt.Println(number, e.Code, e.DoNotCall.Date.Format(time.DateOnly))
			continue
		}
		if err != nil { // do not dial
			log.Fatal(err)
		}
		fmt.Println(number, "may be called")
	}
	// Output:
	// +12025550100 do_not_call 2026-11-01
	// +12025550101 may be called
}

func ExampleService_CanCallMany() {
	svc, key := serveLedger()
	svc.BlockCalls(context.Background(), key, contacts.DoNotCallInput{PhoneNumber: "+12025550100"})
	results, err := svc.CanCallMany(context.Background(), key, []string{"+12025550100", "+12025550101", "call me"})
	for _, r := range results {
		fmt.Printf("%s %t %q\n", r.PhoneNumber, r.DoNotCall, contacts.CodeOf(r.Err))
	}
	fmt.Println(err)
	// Output:
	// +12025550100 true ""
	// +12025550101 false ""
	// call me true "validation_error"
	// <nil>
}

func ExampleService_CanCallManyJSON() {
	svc, key := serveLedger()
	results, err := svc.CanCallManyJSON(context.Background(), key, strings.NewReader(`{"phone_numbers": ["+12025550101"]}`))
	fmt.Println(results[0].DoNotCall, err)
	// Output: false <nil>
}

func ExampleService_BlockCalls() {
	svc, key := serveLedger()
	in := contacts.DoNotCallInput{PhoneNumber: "+12025550100", Reason: "asked on the phone", Reference: "call 4711"}
	for range 2 {
		status, err := svc.BlockCalls(context.Background(), key, in)
		fmt.Println(status.DoNotCall, status.Reason, status.Unchanged, err)
	}
	// Output:
	// true asked on the phone false <nil>
	// true asked on the phone true <nil>
}

func ExampleService_BlockCallsJSON() {
	svc, key := serveLedger()
	status, err := svc.BlockCallsJSON(context.Background(), key, strings.NewReader(`{"phone_number": "+12025550100", "expires_at": "2026-12-01T00:00:00Z"}`))
	fmt.Println(status.DoNotCall, status.Until.Format(time.DateOnly), err)
	// Output: true 2026-12-01 <nil>
}

func ExampleService_GrantCalls() {
	ctx := context.Background()
	svc, key := serveLedger()
	svc.BlockCalls(ctx, key, contacts.DoNotCallInput{PhoneNumber: "+12025550100", At: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)})
	status, err := svc.GrantCalls(ctx, key, contacts.DoNotCallInput{PhoneNumber: "+12025550100", Reason: "asked to be called", Reference: "form 12"})
	fmt.Println(status.DoNotCall, err)
	// Output: false <nil>
}

func ExampleService_GrantCallsJSON() {
	svc, key := serveLedger()
	_, err := svc.GrantCallsJSON(context.Background(), key, strings.NewReader(`{"phone_number": "+12025550100", "reason": "asked to be called"}`))
	fmt.Println(err)
	// Output: contacts: validation_error: reference: is required, because a consent that cannot be shown is none
}

func ExampleService_DoNotCallStatus() {
	ctx := context.Background()
	svc, key := serveLedger()
	svc.BlockCalls(ctx, key, contacts.DoNotCallInput{PhoneNumber: "+551187654321"})
	status, err := svc.DoNotCallStatus(ctx, key, "+5511987654321")
	fmt.Println(status.DoNotCall, status.Form, len(status.Entries), err)
	// Output: true br_ninth_digit 0 <nil>
}

func ExampleService_BlockCallsBatch() {
	svc, key := serveLedger()
	in := contacts.BlockCallsBatchInput{
		Entries: []contacts.DoNotCallInput{{PhoneNumber: "+12025550100"}, {PhoneNumber: "none"}},
		Source:  "list:ftc-2026-11", ExpiresAt: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
	}
	r, err := svc.BlockCallsBatch(context.Background(), key, in)
	fmt.Println(r.Added, r.Failed, r.Errors[0].Index, err)
	// Output: 1 1 1 <nil>
}

func ExampleService_BlockCallsBatchJSON() {
	svc, key := serveLedger()
	r, err := svc.BlockCallsBatchJSON(context.Background(), key, strings.NewReader(`{"source": "list:a", "entries": [{"phone_number": "+12025550100"}]}`))
	fmt.Println(r.Added, err)
	// Output: 1 <nil>
}

func ExampleService_BlockCallsStream() {
	svc, key := serveLedger()
	source := slices.Values([]contacts.DoNotCallInput{{PhoneNumber: "+12025550100", Source: "list:a"}, {PhoneNumber: "+12025550101", Source: "list:a"}})
	for r, err := range svc.BlockCallsStream(context.Background(), key, source, nil) {
		fmt.Println(r.Added, r.Unchanged, err)
	}
	// Output: 2 0 <nil>
}

func ExampleService_ListDoNotCall() {
	ctx := context.Background()
	svc, key := serveLedger()
	svc.BlockCalls(ctx, key, contacts.DoNotCallInput{PhoneNumber: "+12025550100"})
	page, err := svc.ListDoNotCall(ctx, key, contacts.ListDoNotCallInput{Source: "api"})
	for _, e := range page.Entries {
		fmt.Println(e.Sequence, e.Type, e.PhoneNumber, e.Actor.Name)
	}
	fmt.Println(page.NextCursor == "", err)
	// Output:
	// 1 block +12025550100 dialler
	// true <nil>
}

func ExampleService_DoNotCallEntries() {
	ctx := context.Background()
	svc, key := serveLedger()
	svc.BlockCalls(ctx, key, contacts.DoNotCallInput{PhoneNumber: "+12025550100"})
	for e, err := range svc.DoNotCallEntries(ctx, key, contacts.ListDoNotCallInput{All: true}) {
		fmt.Println(e.Type, e.PhoneNumber, err)
	}
	// Output: block +12025550100 <nil>
}

func ExampleService_CheckDoNotCall() {
	svc, _ := serveLedger()
	fmt.Println(svc.CheckDoNotCall(context.Background()))
	// Output: <nil>
}

func ExamplePhoneForms() {
	for _, form := range contacts.PhoneForms("+5215512345678") {
		fmt.Printf("%s %q\n", form.Number, form.Name)
	}
	// Output:
	// +5215512345678 ""
	// +525512345678 "mx_mobile_one"
}
