package contacts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// A Code names one kind of failure, in the form of the REST call, so that a server
// can send it as it is. Act on the code, never on the text of an error.
type Code string

// The codes. Those up to CodeServerError are the documented ones of the
// create; CodeNotFound and CodeDoNotCall are those of its sibling calls; the others
// are ours.
const (
	CodeMissingFirstName       Code = "missing_first_name"      // 400
	CodeInvalidJSON            Code = "invalid_json"            // 400
	CodeValidationError        Code = "validation_error"        // 400, with Details
	CodeAuthenticationRequired Code = "authentication_required" // 401
	CodeInvalidKey             Code = "invalid_key"             // 401
	CodePermissionDenied       Code = "permission_denied"       // 403
	CodeTeamAccessDenied       Code = "team_access_denied"      // 403
	CodeTeamNotFound           Code = "team_not_found"          // 404
	CodeServerError            Code = "server_error"            // 500
	CodeNotFound               Code = "not_found"               // 404
	CodeConflict               Code = "conflict"                // 409
	CodeIdempotencyConflict    Code = "idempotency_conflict"    // 409
	CodeDuplicateContact       Code = "duplicate_contact"       // 409, with Conflicts
	CodeAmbiguousMatch         Code = "ambiguous_match"         // 409, with Conflicts
	CodeBatchFailed            Code = "batch_failed"            // 424
	CodeDoNotCall              Code = "do_not_call"             // 403, with DoNotCall
	CodeEventsGone             Code = "events_gone"             // 410, with NextSequence
)

// HTTPStatus returns the HTTP status of the code, as documented: 500 for
// CodeServerError and for a code this package does not know.
func (c Code) HTTPStatus() int {
	switch c {
	case CodeMissingFirstName, CodeInvalidJSON, CodeValidationError:
		return 400
	case CodeAuthenticationRequired, CodeInvalidKey:
		return 401
	case CodePermissionDenied, CodeTeamAccessDenied, CodeDoNotCall:
		return 403
	case CodeTeamNotFound, CodeNotFound:
		return 404
	case CodeConflict, CodeIdempotencyConflict, CodeDuplicateContact, CodeAmbiguousMatch:
		return 409
	case CodeEventsGone:
		return 410
	case CodeBatchFailed:
		return 424
	default:
		return 500
	}
}

// CodeOf returns the code of err: "" for nil, and CodeServerError for an error
// that holds no [*Error].
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, _ := errors.AsType[*Error](err); e != nil {
		return e.Code
	}
	return CodeServerError
}

// An Error is every error that leaves a [Service] or an [Admin]. Code says what
// kind it is and Message says it to a person; Details names each wrong field, and
// Conflicts each contact that is in the way. None of them holds a key, a value of
// the input or the cause of a server error: that cause is what Unwrap returns.
//
// The JSON form of an Error is the documented body,
// {"error": code, "message": text, "details": [...], "conflicts": [...],
// "do_not_call": {...}, "next_sequence": n}. Members that are empty are left out.
type Error struct {
	Code    Code         `json:"error"`
	Message string       `json:"message"`
	Details []FieldError `json:"details,omitempty"`

	// Conflicts are of CodeDuplicateContact and CodeAmbiguousMatch: at most 100, and of
	// a [Service] at most 10 for each field. Message says how many more there are.
	Conflicts []Conflict `json:"conflicts,omitempty"`

	// NextSequence is that of the next event that is there, of CodeEventsGone from
	// a reader of events. Where none is there, it is that of the next one to come.
	NextSequence int64 `json:"next_sequence,omitempty"`

	DoNotCall *DoNotCallVerdict `json:"do_not_call,omitempty"` // of CodeDoNotCall

	cause error
}

// A FieldError says what is wrong with one field of the input. Field is its
// path with the documented names ("phone_numbers[1].phone_number"), Code is one
// of the Field constants, Message is for a person.
type FieldError struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// The codes of a [FieldError].
const (
	FieldRequired   = "required"      // absent or blank
	FieldWrongType  = "wrong_type"    // well-formed JSON of another type
	FieldUnknown    = "unknown_field" // no such field; misspelt, perhaps
	FieldTooLong    = "too_long"      // over its limit of characters or bytes
	FieldTooMany    = "too_many"      // over its limit of elements
	FieldTooDeep    = "too_deep"      // nested over its limit
	FieldInvalid    = "invalid"       // not of the form that the field takes
	FieldNotAllowed = "not_allowed"   // not in the vocabulary that an option closed
	FieldDuplicate  = "duplicate"     // given before
	FieldDoNotCall  = "do_not_call"   // the number is on the do-not-call list
)

// One for each code, for [errors.Is]: an [Error] matches the one of its code.
var (
	ErrMissingFirstName       error = &Error{Code: CodeMissingFirstName, Message: "first name is required"}
	ErrInvalidJSON            error = &Error{Code: CodeInvalidJSON, Message: "invalid JSON payload"}
	ErrValidation             error = &Error{Code: CodeValidationError, Message: "validation error"}
	ErrAuthenticationRequired error = &Error{Code: CodeAuthenticationRequired, Message: "no API key was provided"}
	ErrInvalidKey             error = &Error{Code: CodeInvalidKey, Message: "the API key is invalid or inactive"}
	ErrPermissionDenied       error = &Error{Code: CodePermissionDenied, Message: "the API key lacks the required permission"}
	ErrTeamAccessDenied       error = &Error{Code: CodeTeamAccessDenied, Message: "no access to this team"}
	ErrTeamNotFound           error = &Error{Code: CodeTeamNotFound, Message: "team not found"}
	ErrDoNotCall              error = &Error{Code: CodeDoNotCall, Message: "the number is on the do-not-call list"}
	ErrAmbiguous              error = &Error{Code: CodeAmbiguousMatch, Message: "the keys of the contact belong to different contacts"}
	ErrEventsGone             error = &Error{Code: CodeEventsGone, Message: "the events do not go back so far"}
	ErrServer                 error = &Error{Code: CodeServerError, Message: "an unexpected server error"}
)

// ErrBodyTooLarge is what a CodeInvalidJSON matches too when the body has more than
// Limits.BodyBytes, or that of a batch more than Limits.BatchBytes. It is for servers
// that answer that with 413.
var ErrBodyTooLarge = errors.New("contacts: body too large")

// What a [Store] returns, wrapped as it likes, to say what happened, beside
// [ErrTeamNotFound]. The first five are errors of a Service too, and match its
// [Error] of that code. A Service turns the others into a server error, which
// [errors.Is] still matches with them.
var (
	// ErrNotFound: there is no such record in that account.
	ErrNotFound error = &Error{Code: CodeNotFound, Message: "not found"}
	// ErrConflict: the contact has another version than the change expects.
	ErrConflict error = &Error{Code: CodeConflict, Message: "the contact does not have that version; it may have been changed meanwhile"}
	// ErrIdempotencyConflict: the idempotency key was used for another input.
	ErrIdempotencyConflict error = &Error{Code: CodeIdempotencyConflict, Message: "the idempotency key was used before, for another input"}
	// ErrBatchFailed: nothing is wrong with this contact, but it was not stored
	// because another one of its batch could not be.
	ErrBatchFailed error = &Error{Code: CodeBatchFailed, Message: "not stored, because another contact of the batch could not be stored"}
	// ErrDuplicate: a live contact outside the mutation holds a claimed match key.
	ErrDuplicate error = &Error{Code: CodeDuplicateContact, Message: "another contact of the account has this key"}

	// ErrStale: the account has another settings version than the mutation was
	// decided by.
	ErrStale = errors.New("contacts: stale settings")
	// ErrExists: a record with that identity is already there.
	ErrExists = errors.New("contacts: already exists")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("contacts: store is closed")
	// ErrOutcomeUnknown: a commit was sent and its answer never came. The
	// records may be stored, whole, or not at all. Any other error of a write
	// means that nothing was stored.
	ErrOutcomeUnknown = errors.New("contacts: outcome unknown")
)

// A DamagedError is the cause of a server error about one stored contact that
// cannot be read: by a flipped bit, or a change of the database by hand.
// [errors.AsType] finds it in the error of a [Service], whose message names the
// contact too. Other contacts can still be read. A contact with a damaged context
// can be deleted, replaced as a whole, or updated with a nil context.
type DamagedError struct {
	ContactID uuid.UUID `json:"contact_id"`
	Reason    error     `json:"-"` // for logs; it holds nothing of the contact
}

// Error returns the id of the contact and the reason.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("the stored contact %s is damaged: %v", e.ContactID, e.Reason)
}

// Unwrap returns the reason.
func (e *DamagedError) Unwrap() error { return e.Reason }

// Error returns the code and the message. Of the cause it says only that a
// context ended, that the store was closed, or that the outcome is unknown: that
// cannot leak anything.
func (e *Error) Error() string {
	if e == nil {
		return "contacts: a nil error"
	}
	var b strings.Builder
	b.WriteString("contacts: ")
	b.WriteString(string(e.Code))
	if e.Message != "" {
		b.WriteString(": ")
		b.WriteString(e.Message)
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, ErrClosed, ErrOutcomeUnknown} {
		if errors.Is(e.cause, known) {
			b.WriteString(" (")
			b.WriteString(strings.TrimPrefix(known.Error(), "contacts: "))
			b.WriteString(")")
		}
	}
	return b.String()
}

// Unwrap returns the cause, or nil. It is for the program's own logs, not for
// its clients.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.cause
}

// Is reports whether target is an [*Error] of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t != nil && e != nil && t.Code == e.Code
}

// Equal reports whether the two have the same JSON form. Causes are not compared.
// It serves go-cmp, and two nil errors are equal.
func (e *Error) Equal(other *Error) bool {
	if e == nil || other == nil {
		return e == other
	}
	return e.Code == other.Code && e.Message == other.Message && e.NextSequence == other.NextSequence &&
		slices.Equal(e.Details, other.Details) && slices.EqualFunc(e.Conflicts, other.Conflicts, Conflict.equal) &&
		e.DoNotCall.equal(other.DoNotCall)
}

// MarshalJSON returns the documented error body.
func (e *Error) MarshalJSON() ([]byte, error) {
	type body Error
	return json.Marshal((*body)(e))
}

// newError returns a new error with the sentinel's code and words, so that no caller
// ever holds the sentinel itself.
func newError(sentinel error) *Error {
	s := sentinel.(*Error)
	return &Error{Code: s.Code, Message: s.Message}
}

// newServerError is newError for ErrServer, with a cause. A cause that is an Error of
// another code is kept as text alone, because the whole must not match that code too.
func newServerError(cause error) *Error {
	if e, _ := errors.AsType[*Error](cause); e != nil && e.Code != CodeServerError {
		cause = errors.New(cause.Error())
	}
	e := newError(ErrServer)
	e.cause = cause
	if damaged, _ := errors.AsType[*DamagedError](cause); damaged != nil {
		e.Message = "the stored contact " + damaged.ContactID.String() + " is damaged and cannot be read"
	}
	return e
}

// NewValidationError returns a CodeValidationError for the details. Its message
// names up to five of the fields, for clients that show nothing else. It is for
// servers that refuse what is wrong with a request itself, in the words of a
// [Service]. Without details the message is that of [ErrValidation].
func NewValidationError(details ...FieldError) *Error {
	e := newError(ErrValidation)
	if len(details) == 0 {
		return e
	}
	e.Details = details
	if len(details) == 1 {
		e.Message = details[0].Field + ": " + details[0].Message
		return e
	}
	fields := make([]string, len(details))
	for i, d := range details {
		fields[i] = d.Field
	}
	e.Message = strconv.Itoa(len(details)) + " problems, in " + naming(fields)
	return e
}

// enumerated returns up to five names as the subject of a sentence.
func enumerated(names []string) string {
	if last := len(names) - 1; last > 0 && last < maxNamed {
		return naming(names[:last]) + " and " + names[last]
	}
	return naming(names)
}

const maxNamed = 5 // fields, in a message

// naming returns up to five names as a list.
func naming(names []string) string {
	if len(names) > maxNamed {
		return strings.Join(names[:maxNamed], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
