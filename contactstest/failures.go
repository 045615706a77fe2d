package contactstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"example.com/contacts"
)

// Fail makes the next call of the operation fail with the code and the details.
// The call stores nothing. Other operations and later calls work. If Fail is
// called twice, the next two calls of the operation fail, in that order. Errors of
// CodeInvalidKey and CodeServerError have no details. Those of CodeDoNotCall have
// Error.DoNotCall, those of CodeDuplicateContact and CodeAmbiguousMatch one and two
// hidden Error.Conflicts. Those of CodeEventsGone have the Error.NextSequence of the
// next event to come, except from OpGetContactAsOf.
//
// A code that no [contacts.Service] returns fails the test. So does a failure that
// is not used by the end of the test.
//
// A batch fails as a whole. [contacts.Service.Contacts] makes one call of
// OpListContacts for each page, and [contacts.Service.CreateContactStream] one of
// OpCreateContacts for each thousand contacts.
func (f *Fixture) Fail(op contacts.Operation, code contacts.Code, details ...contacts.FieldError) {
	f.t.Helper()
	f.fail(fmt.Sprintf("Fail(%q, %q)", op, code), op, code, details)
}

// FailWith makes the next call of the operation fail with a server error that has
// the cause. [errors.Is] finds the cause in the error: [contacts.ErrOutcomeUnknown]
// or [context.Canceled], for example. Of a cause with another code the error keeps
// the text alone, because no service returns an error that matches two codes: take
// [Fixture.Fail] for a code. A nil cause fails the test. Otherwise it is like
// [Fixture.Fail].
func (f *Fixture) FailWith(op contacts.Operation, cause error) {
	f.t.Helper()
	f.failWith(fmt.Sprintf("FailWith(%q, %v)", op, cause), op, cause)
}

// FailNext is [Fixture.Fail] for the next call of the service with a key, whatever
// its operation is.
func (f *Fixture) FailNext(code contacts.Code, details ...contacts.FieldError) {
	f.t.Helper()
	f.fail(fmt.Sprintf("FailNext(%q)", code), anyOperation, code, details)
}

// FailNextWith is [Fixture.FailWith] for the next call of the service with a key,
// whatever its operation is.
func (f *Fixture) FailNextWith(cause error) {
	f.t.Helper()
	f.failWith(fmt.Sprintf("FailNextWith(%v)", cause), anyOperation, cause)
}

func (f *Fixture) failWith(asked string, op contacts.Operation, cause error) {
	f.t.Helper()
	if cause == nil {
		f.t.Errorf("contactstest: %s: there is no cause, so the call would succeed; name one", asked)
		return
	}
	if _, is := errors.AsType[*contacts.Error](cause); is && contacts.CodeOf(cause) != contacts.CodeServerError {
		cause = errors.New(cause.Error())
	}
	f.failures.add(failure{asked, op, cause})
}

func (f *Fixture) fail(asked string, op contacts.Operation, code contacts.Code, details []contacts.FieldError) {
	f.t.Helper()
	if code != contacts.CodeServerError && code.HTTPStatus() == contacts.CodeServerError.HTTPStatus() {
		f.t.Errorf("contactstest: %s: no service returns that code; take one of the constants of package contacts", asked)
		return
	}
	err := &contacts.Error{Code: code, Message: "requested by " + asked, Details: details}
	hidden := contacts.Conflict{Field: string(contacts.KeyEmail), Hidden: true}
	switch code {
	case contacts.CodeDoNotCall:
		err.DoNotCall = &contacts.DoNotCallVerdict{Date: f.Account.CreatedAt}
	case contacts.CodeEventsGone:
		if op != contacts.OpGetContactAsOf {
			err.NextSequence = f.nextSequence()
		}
	case contacts.CodeDuplicateContact:
		err.Conflicts = []contacts.Conflict{hidden}
	case contacts.CodeAmbiguousMatch:
		err.Conflicts = []contacts.Conflict{hidden, hidden}
	}
	f.failures.add(failure{asked, op, err})
}

// nextSequence returns the sequence of the account's next event.
func (f *Fixture) nextSequence() int64 {
	f.t.Helper()
	last, err := f.Admin.LastSequence(context.Background(), f.Account.ID)
	if err != nil {
		f.t.Errorf("contactstest: read the last sequence: %v", err)
	}
	return last + 1
}

// A failure is one that a test has asked for.
type failure struct {
	asked string // how, for people
	op    contacts.Operation
	err   error
}

// anyOperation stands for every operation.
const anyOperation contacts.Operation = ""

// failures is the first thing that every call of the service asks.
type failures struct {
	next contacts.Authenticator

	mu     sync.Mutex
	queued []failure
}

func (f *failures) add(one failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queued = append(f.queued, one)
}

// take returns the first failure that is meant for the operation, or nil.
func (f *failures) take(op contacts.Operation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := slices.IndexFunc(f.queued, func(one failure) bool { return one.op == op || one.op == anyOperation })
	if at < 0 {
		return nil
	}
	err := f.queued[at].err
	f.queued = slices.Delete(f.queued, at, at+1)
	return err
}

// Authenticate implements [contacts.Authenticator].
func (f *failures) Authenticate(ctx context.Context, key string) (*contacts.Principal, error) {
	if err := f.take(contacts.OperationOf(ctx)); err != nil {
		return nil, err
	}
	return f.next.Authenticate(ctx, key)
}
