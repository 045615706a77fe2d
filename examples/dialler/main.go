// Dialler imports a list of numbers that must not be called, and asks before each
// call. It shows why a number is called or not: a list, a grant, and the erasure of
// a person.
//
//	go run ./examples/dialler
//
// The contacts are in memory.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"log"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
	"example.com/contacts/store/memory"
)

// The people, and the numbers on the list. Bob's is one of them.
const (
	ada, bob, cy = "+12125550100", "+12122000007", "+13125550111"
	firstListed  = 12122000000
	listed       = 10_500
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// A dialler is one API key, and where it reports.
type dialler struct {
	svc *contacts.Service
	key string
	out io.Writer
}

// run is the whole program.
func run(ctx context.Context, out io.Writer) (err error) {
	store := memory.New()
	defer func() { err = cmp.Or(err, store.Close()) }()
	admin := contacts.NewAdmin(store, nil)
	account, err := admin.CreateAccount(ctx, "Acme Corp")
	if err != nil {
		return err
	}
	d := &dialler{out: out}
	d.key, _, err = admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID: account.ID, Name: "dialler", AllTeams: true,
		Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionManageDoNotCall},
	})
	if err != nil {
		return err
	}
	if d.svc, err = contacts.New(store, nil); err != nil {
		return err
	}

	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return d.importList(ctx, time.Now().AddDate(0, 0, -7)) },
		func(ctx context.Context) error { return d.dial(ctx, "Ada", ada) },
		func(ctx context.Context) error { return d.dial(ctx, "Bob", bob) },
		d.grant,
		func(ctx context.Context) error { return d.importList(ctx, time.Now()) },
		func(ctx context.Context) error { return d.dial(ctx, "Bob", bob) },
		func(ctx context.Context) error { return d.forget(ctx, admin, account.ID) },
		func(ctx context.Context) error { return d.dial(ctx, "Cy", cy) },
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// importList records the list of that day, and says how far it is.
func (d *dialler) importList(ctx context.Context, day time.Time) error {
	var sum contacts.BlockCallsResult
	for r, err := range d.svc.BlockCallsStream(ctx, d.key, list(day), nil) {
		if err != nil {
			return err // what came before is recorded
		}
		sum.Added, sum.Unchanged, sum.Granted, sum.Failed = sum.Added+r.Added, sum.Unchanged+r.Unchanged, sum.Granted+r.Granted, sum.Failed+r.Failed
		for _, e := range r.Errors {
			fmt.Fprintf(d.out, "line %d of the list: %v\n", e.Index+1, e.Err)
		}
		fmt.Fprintf(d.out, "%5d numbers\n", sum.Added+sum.Unchanged+sum.Granted)
	}
	fmt.Fprintf(d.out, "the list: %d added, %d with a grant, %d wrong\n", sum.Added, sum.Granted, sum.Failed)
	return nil
}

// grant opens Bob's number: he asks for an offer. The next list leaves it alone.
func (d *dialler) grant(ctx context.Context) error {
	status, err := d.svc.GrantCalls(ctx, d.key, contacts.DoNotCallInput{PhoneNumber: bob, Reason: "asked for an offer", Reference: "form 815"})
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "Bob's number has a grant: do_not_call is %t\n", status.DoNotCall)
	return nil
}

// forget erases Cy, who wants to be called no more. An old file brings her back.
func (d *dialler) forget(ctx context.Context, admin *contacts.Admin, account uuid.UUID) error {
	person := contacts.CreateContactInput{FirstName: "Cy", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: cy}}}
	c, err := d.svc.CreateContact(ctx, d.key, person)
	if err != nil {
		return err
	}
	if _, err := admin.EraseContact(ctx, contacts.EraseInput{AccountID: account, ContactID: c.ID, Suppress: true, Reason: "request"}); err != nil {
		return err
	}
	if c, err = d.svc.CreateContact(ctx, d.key, person); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "Cy was erased and comes back: do_not_call is %t\n", c.PhoneNumbers[0].DoNotCall)
	return nil
}

// list yields the numbers of a register, one of them mistyped. The blocks end by
// themselves, because such a list must be new to be valid.
func list(day time.Time) iter.Seq[contacts.DoNotCallInput] {
	return func(yield func(contacts.DoNotCallInput) bool) {
		for i := range listed {
			in := contacts.DoNotCallInput{
				PhoneNumber: fmt.Sprintf("+%d", firstListed+i), At: day, ExpiresAt: day.AddDate(0, 0, 31),
				Source: "list:register", Reason: "is on the register",
			}
			if i == 2 {
				in.PhoneNumber = "555"
			}
			if !yield(in) {
				return
			}
		}
	}
}

// dial calls a number, if it may be called. It says why, or why not.
func (d *dialler) dial(ctx context.Context, name, number string) error {
	err := d.svc.CanCall(ctx, d.key, number)
	forbidden := contacts.CodeOf(err) == contacts.CodeDoNotCall
	if err != nil && !forbidden {
		return err // the store failed, for example: nothing permits the call
	}
	status, err := d.svc.DoNotCallStatus(ctx, d.key, number)
	if err != nil {
		return err
	}
	why := "nothing is recorded"
	if len(status.Entries) > 0 {
		newest := status.Entries[0]
		why = fmt.Sprintf("%s from %s", newest.Type, newest.Source)
		for _, more := range []string{newest.Reason, newest.Reference} {
			why = strings.TrimSuffix(why+", "+more, ", ")
		}
	}
	if forbidden {
		fmt.Fprintf(d.out, "%s is not called: %s\n", name, why)
		return nil
	}
	fmt.Fprintf(d.out, "%s is called: %s\n", name, why) // here a program dials
	return nil
}
