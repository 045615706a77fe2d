package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"example.com/contacts"
	"example.com/contacts/contactsio"
)

// The exit codes.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3 // some rows were
	exitListed  = 4 // a number must not be called
	exitFinding = 5
)

// A usageError is a command line that is wrong. Nothing was done.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// An exitError ends the process with a code. What it means is in the output already.
type exitError int

// Error implements error.
func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// An advisedError says what an error is about, such as a file, and what to do.
type advisedError struct {
	error
	about, advice string
}

// Error implements error.
func (e advisedError) Error() string { return e.about + ": " + e.error.Error() + "; " + e.advice }

// Unwrap returns the error itself.
func (e advisedError) Unwrap() error { return e.error }

// interrupted reports whether err says that a signal has ended what was done.
func interrupted(ctx context.Context, err error) bool { return err != nil && errors.Is(err, ctx.Err()) }

// untilSignal returns the error of a command that goes on until a signal ends it. One
// that comes before the command has begun is no failure either.
func untilSignal(ctx context.Context, err error) error {
	if interrupted(ctx, err) {
		return nil
	}
	return err
}

// exitCodeOf returns the code of an error that is nothing but an exit code. Joined
// with another error it is a failure.
func exitCodeOf(err error) (code int, ok bool) {
	for {
		switch e := err.(type) { //nolint:errorlint // what wraps it counts
		case exitError:
			return int(e), true
		case interface{ Unwrap() []error }:
			all := e.Unwrap()
			if len(all) != 1 {
				return 0, false
			}
			err = all[0]
		default:
			return 0, false
		}
	}
}

// errUnread says that nobody reads the results any more.
var errUnread = errors.New("standard output is closed")

// fail prints an error and returns its exit code.
func (s *session) fail(err error) int {
	if err == nil {
		return exitDone
	}
	if code, ok := exitCodeOf(err); ok {
		return code
	}
	all := failuresOf(err)
	switch {
	case len(all) == 0: // nobody reads on
	case s.JSON:
		text, _ := json.Marshal(all[0].forPrograms(all[1:])) // it is made of strings
		fmt.Fprintf(s.errors, "%s\n", text)
	default:
		for _, f := range all {
			fmt.Fprintf(s.errors, "contacts: %s\n", f.text())
		}
	}
	if isUsage(err) {
		return exitUsage
	}
	return exitFailed
}

// isUsage reports whether the command line is wrong, or an option that it hands on.
func isUsage(err error) bool {
	_, ok := errors.AsType[usageError](err)
	return ok || errors.Is(err, contactsio.ErrOption)
}

// A failure is one thing that went wrong.
type failure struct {
	Error        contacts.Code         `json:"error"`
	Message      string                `json:"message"`
	Details      []contacts.FieldError `json:"details,omitempty"`
	Conflicts    []contacts.Conflict   `json:"conflicts,omitempty"`
	NextSequence int64                 `json:"next_sequence,omitempty"` // where to go on after events_gone
	Cause        string                `json:"cause,omitempty"`
	Advice       string                `json:"advice,omitempty"`
	Also         []failure             `json:"also,omitempty"` // what went wrong after it

	about string // what the message is about, such as a file
}

// codeUsage is the code of a usageError and of options that are wrong, and codeFailed
// that of an error that is not the library's.
const (
	codeUsage  contacts.Code = "usage"
	codeFailed contacts.Code = "failed"
)

// failuresOf returns what went wrong: each of the errors that are joined, with what those
// that wrap it say before it. An error that needs no words is none of them.
func failuresOf(err error) []failure {
	switch e := err.(type) { //nolint:errorlint // what wraps it is kept
	case exitError:
		return nil
	case usageError:
		return []failure{{Error: codeUsage, Message: e.Error()}}
	case *contacts.Error:
		return []failure{failureOf(e)}
	case advisedError:
		all := allAbout(e.about+": ", e.error)
		if len(all) > 0 {
			all[0].Advice = e.advice
		}
		return all
	}
	if inner := unwrap(err); inner != nil {
		if about, ok := strings.CutSuffix(err.Error(), errors.Join(inner...).Error()); ok {
			return allAbout(about, inner...)
		}
	}
	if e, ok := errors.AsType[*contacts.Error](err); ok {
		return []failure{failureOf(e)}
	}
	if errors.Is(err, errUnread) {
		return nil
	}
	code := codeFailed
	if isUsage(err) {
		code = codeUsage
	}
	return []failure{{Error: code, Message: err.Error()}}
}

// unwrap returns the errors that err wraps.
func unwrap(err error) []error {
	switch e := err.(type) { //nolint:errorlint // as errors.Is does
	case interface{ Unwrap() []error }:
		return e.Unwrap()
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return []error{inner}
		}
	}
	return nil
}

func allAbout(about string, errs ...error) (all []failure) {
	for _, err := range errs {
		for _, f := range failuresOf(err) {
			f.about = about + f.about
			all = append(all, f)
		}
	}
	return all
}

// failureOf returns an error of the library, with the cause of a server error. What a
// signal has ended is none.
func failureOf(e *contacts.Error) failure {
	cause := errors.Unwrap(e)
	if e.Code == contacts.CodeServerError && errors.Is(cause, context.Canceled) {
		return failure{Error: codeFailed, Message: cause.Error()}
	}
	f := failure{Error: e.Code, Message: e.Message, Details: e.Details, Conflicts: e.Conflicts, NextSequence: e.NextSequence}
	if e.Code == contacts.CodeServerError && cause != nil {
		f.Cause = cause.Error()
	}
	return f
}

// text returns the failure for people: its code and message, a line for each field, the
// cause of a server error, and what to do.
func (f failure) text() string {
	var b strings.Builder
	b.WriteString(f.about)
	if f.Error != codeUsage && f.Error != codeFailed {
		fmt.Fprintf(&b, "%s: ", f.Error)
	}
	b.WriteString(f.Message)
	for _, d := range f.Details {
		fmt.Fprintf(&b, "\n  %s: %s (%s)", d.Field, d.Message, d.Code)
	}
	for _, c := range f.Conflicts {
		fmt.Fprintf(&b, "\n  %s: %s", c.Field, c.ContactID)
	}
	if f.Cause != "" {
		fmt.Fprintf(&b, "\n  cause: %s", f.Cause)
	}
	if f.Advice != "" {
		fmt.Fprintf(&b, "\n  %s", f.Advice)
	}
	return shown(b.String())
}

// forPrograms returns the failure as it is printed as JSON, with those after it.
func (f failure) forPrograms(also []failure) failure {
	f.Message, f.Cause, f.Advice = shown(f.about+f.Message), shown(f.Cause), shown(f.Advice)
	for _, other := range also {
		f.Also = append(f.Also, other.forPrograms(nil))
	}
	return f
}

// secrets finds API keys, and passwords in URLs.
var secrets = regexp.MustCompile(`\b[0-9a-z]{1,16}_[0-9A-Za-z]{43,}|(://[^/@\s:]*:)[^/@\s]*@|\b((?:ssl)?password=)[^&\s]*`)

// secretFree cuts API keys and passwords out of a text.
func secretFree(text string) string { return secrets.ReplaceAllString(text, "$1$2…") }

// words are what people know for those of the library: flags for options.
var words = strings.NewReplacer(
	"ReadOptions.Map", "--map",
	"ReadOptions.NoHeader", "--no-header",
	"ReadOptions.Comma", "--comma",
	"ReadOptions.Encoding", "--encoding",
	"ReadOptions.Region", "--region",
	"ReadOptions.Format", "--format",
	"ReadOptions.From", "--checkpoint",
	"ImportOptions.Job", "--job",
	"ImportOptions.StopAfter", "--stop-after",
	"ExportOptions.Columns", "--columns",
	"ExportOptions.PhoneColumns", "--phone-columns",
	"DoNotCallImportOptions.Column", "--column",
	"DoNotCallImportOptions.Region", "--region",
	"Options.DefaultRegion", "--default-region",
	"Options.DoNotCallSecrets", "--do-not-call-secret",
	context.Canceled.Error(), "interrupted", // by a signal: nothing else cancels
)

// shown returns a text of the library for people: without secrets, and in the words of
// the command.
func shown(text string) string { return words.Replace(secretFree(text)) }
