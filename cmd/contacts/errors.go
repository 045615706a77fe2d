package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"

	"example.com/contacts"
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

// fail prints an error and returns its exit code.
func (s *session) fail(err error) int {
	if err == nil {
		return exitDone
	}
	if code, ok := exitCodeOf(err); ok {
		return code
	}
	if errors.Is(err, syscall.EPIPE) { // nobody reads on
		return exitFailed
	}
	if s.JSON {
		text, _ := json.Marshal(newFailure(err)) // it is made of strings
		fmt.Fprintf(s.errors, "%s\n", text)
	} else {
		fmt.Fprintf(s.errors, "contacts: %s\n", textOf(err))
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// textOf returns an error for people: its code and message, a line for each field,
// and the cause of a server error.
func textOf(err error) string {
	if a, ok := errors.AsType[advisedError](err); ok {
		return a.about + ": " + textOf(a.error) + "\n  " + shown(a.advice)
	}
	e, ok := errors.AsType[*contacts.Error](err)
	if !ok {
		return shown(err.Error())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Code, e.Message)
	for _, d := range e.Details {
		fmt.Fprintf(&b, "\n  %s: %s (%s)", d.Field, d.Message, d.Code)
	}
	for _, c := range e.Conflicts {
		fmt.Fprintf(&b, "\n  %s: %s", c.Field, c.ContactID)
	}
	if cause := errors.Unwrap(e); e.Code == contacts.CodeServerError && cause != nil {
		fmt.Fprintf(&b, "\n  cause: %v", cause)
	}
	return shown(b.String())
}

// A failure is an error for programs.
type failure struct {
	Error        contacts.Code         `json:"error"`
	Message      string                `json:"message"`
	Details      []contacts.FieldError `json:"details,omitempty"`
	Conflicts    []contacts.Conflict   `json:"conflicts,omitempty"`
	NextSequence int64                 `json:"next_sequence,omitempty"` // where to go on after events_gone
	Cause        string                `json:"cause,omitempty"`
	Advice       string                `json:"advice,omitempty"`
}

// codeUsage is the code of a usageError, and codeFailed that of an error that is not
// the library's.
const (
	codeUsage  contacts.Code = "usage"
	codeFailed contacts.Code = "failed"
)

func newFailure(err error) failure {
	if a, ok := errors.AsType[advisedError](err); ok {
		f := newFailure(a.error)
		f.Message, f.Advice = a.about+": "+f.Message, a.advice
		return f
	}
	if e, ok := errors.AsType[*contacts.Error](err); ok {
		f := failure{Error: e.Code, Message: shown(e.Message), Details: e.Details, Conflicts: e.Conflicts, NextSequence: e.NextSequence}
		if cause := errors.Unwrap(e); e.Code == contacts.CodeServerError && cause != nil {
			f.Cause = shown(cause.Error())
		}
		return f
	}
	f := failure{Error: codeFailed, Message: shown(err.Error())}
	if _, ok := errors.AsType[usageError](err); ok {
		f.Error = codeUsage
	}
	return f
}

// secrets finds API keys, and passwords in URLs.
var secrets = regexp.MustCompile(`\b[0-9a-z]{1,16}_[0-9A-Za-z]{43,}|(://[^/@\s:]*:)[^/@\s]*@|\b((?:ssl)?password=)[^&\s]*`)

// secretFree cuts API keys and passwords out of a text.
func secretFree(text string) string { return secrets.ReplaceAllString(text, "$1$2…") }

// options are those of the library that people give as flags.
var options = regexp.MustCompile(`\b(?:Read|Import|Export|DoNotCallImport)?Options\.(Map|Comma|Column|Columns|PhoneColumns|Encoding|Region|Format|Job|DefaultRegion)\b`)

// shown returns a text of the library for people: without secrets, and with flags in
// place of options.
func shown(text string) string {
	return options.ReplaceAllStringFunc(secretFree(text), func(option string) string {
		_, name, _ := strings.Cut(option, ".")
		return "--" + strings.ToLower(capitals.ReplaceAllString(name, "$1-$2"))
	})
}

// capitals finds where a name goes on with another word.
var capitals = regexp.MustCompile(`([a-z])([A-Z])`)
