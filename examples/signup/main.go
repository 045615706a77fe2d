// Signup lets people sign up again and again, from two processes on one SQLite
// file, and keeps one contact of each. Then it shows what cannot be decided by a
// program alone, and how to decide it.
//
//	go run ./examples/signup
//
// The file is in a temporary folder, which is removed at the end.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"example.com/contacts"
	"example.com/contacts/store/sqlite"
)

const (
	people    = 8
	signUps   = 64 // of them, in two processes
	processes = 2
)

// The environment of a process that signs people up for another one.
const (
	pathVariable = "SIGNUP_PATH"
	keyVariable  = "SIGNUP_KEY"
)

func main() {
	ctx := context.Background()
	var err error
	if path := os.Getenv(pathVariable); path != "" {
		err = signUpAll(ctx, path, os.Getenv(keyVariable))
	} else {
		err = run(ctx, os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// run is the whole program.
func run(ctx context.Context, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "contacts-signup-")
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "contacts.db")
	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, store.Close()) }()

	admin := contacts.NewAdmin(store, nil)
	account, err := admin.CreateAccount(ctx, "Acme Corp")
	if err != nil {
		return err
	}
	// No two people have the same e-mail address. A family may share a phone.
	if err := admin.SetDuplicatePolicy(ctx, account.ID, contacts.DuplicatePolicy{Action: contacts.DuplicateReject}); err != nil {
		return err
	}
	key, _, err := admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID: account.ID, Name: "sign-up", AllTeams: true,
		Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts},
	})
	if err != nil {
		return err
	}
	svc, err := contacts.New(store, nil)
	if err != nil {
		return err
	}

	if err := inProcesses(ctx, path, key); err != nil {
		return err
	}
	n := 0
	for _, err := range svc.Contacts(ctx, key, contacts.ListContactsInput{}) {
		if err != nil {
			return err
		}
		n++
	}
	fmt.Fprintf(w, "%d sign-ups of %d people in %d processes: %d contacts\n", signUps, people, processes, n)
	return decide(ctx, w, svc, key)
}

// inProcesses signs everybody up in several processes at the same time.
func inProcesses(ctx context.Context, path, key string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var all []*exec.Cmd
	for range processes {
		cmd := exec.CommandContext(ctx, self)
		cmd.Env = append(os.Environ(), pathVariable+"="+path, keyVariable+"="+key)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		all = append(all, cmd)
	}
	var errs []error
	for _, cmd := range all {
		errs = append(errs, cmd.Wait())
	}
	return errors.Join(errs...)
}

// signUpAll makes this process's share of the sign-ups, all at the same time. Half
// of them recognise people by e-mail address, the others by phone number.
func signUpAll(ctx context.Context, path, key string) (err error) {
	store, err := sqlite.Open(ctx, path, nil)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, store.Close()) }()
	svc, err := contacts.New(store, nil)
	if err != nil {
		return err
	}
	errs := make([]error, signUps/processes)
	var wait sync.WaitGroup
	for i := range errs {
		in := contacts.UpsertContactInput{MatchOn: []contacts.KeyKind{contacts.KeyEmail}}
		if i/people%2 == 1 {
			in.MatchOn[0] = contacts.KeyPhoneNumber
		}
		person := i % people
		in.FirstName, in.Email = fmt.Sprintf("Person %d", person), fmt.Sprintf("person.%d@example.com", person)
		in.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: fmt.Sprintf("+1202555010%d", person)}}
		wait.Go(func() { _, errs[i] = svc.UpsertContact(ctx, key, in) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// decide shows a shared phone, and a sign-up that two contacts match.
func decide(ctx context.Context, w io.Writer, svc *contacts.Service, key string) error {
	const shared = "+12025550199"
	in := contacts.UpsertContactInput{}
	in.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: shared}}
	for _, name := range []string{"Ada", "Byron"} { // found by e-mail address, as the policy says
		in.FirstName, in.Email = name, name+"@example.com"
		r, err := svc.UpsertContact(ctx, key, in)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s signs up with the family's phone: %s\n", name, r.Result)
	}

	in.FirstName, in.Email = "Ada", "ada@example.com"
	in.PhoneNumbers = []contacts.PhoneNumberInput{{PhoneNumber: "+12025550100"}} // of Person 0
	in.MatchOn = []contacts.KeyKind{contacts.KeyEmail, contacts.KeyPhoneNumber}
	_, err := svc.UpsertContact(ctx, key, in)
	e, ok := errors.AsType[*contacts.Error](err)
	if !ok || e.Code != contacts.CodeAmbiguousMatch {
		return fmt.Errorf("got %w, want ambiguous_match", err)
	}
	fmt.Fprintln(w, "Ada signs up with the phone of somebody else:", e.Message)
	for _, conflict := range e.Conflicts {
		c, err := svc.GetContact(ctx, key, conflict.ContactID)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s belongs to %s\n", conflict.Field, c.FirstName)
	}

	// A person says: it is Ada, and she shares that phone from now on.
	in.MatchOn = []contacts.KeyKind{contacts.KeyEmail}
	r, err := svc.UpsertContact(ctx, key, in)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "By her e-mail address alone: %s, %s has %d numbers\n", r.Result, r.Contact.FirstName, len(r.Contact.PhoneNumbers))
	return nil
}
