package contactshttp

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/contacts"
)

// The codes of HTTP alone. The others are those of package contacts.
const (
	CodeMethodNotAllowed     contacts.Code = "method_not_allowed"     // 405, with Allow
	CodeBodyTooLarge         contacts.Code = "body_too_large"         // 413
	CodeUnsupportedMediaType contacts.Code = "unsupported_media_type" // 415, with what is supported
	CodeRateLimitExceeded    contacts.Code = "rate_limit_exceeded"    // 429, with Retry-After
)

// An ErrorBody is the documented body of an error, with the id of the request.
type ErrorBody struct {
	Error     contacts.Code              `json:"error"`
	Message   string                     `json:"message"`
	Details   []contacts.FieldError      `json:"details,omitempty"`
	Conflicts []contacts.Conflict        `json:"conflicts,omitempty"`   // of duplicate_contact and ambiguous_match
	DoNotCall *contacts.DoNotCallVerdict `json:"do_not_call,omitempty"` // of do_not_call

	NextSequence int64 `json:"next_sequence,omitempty"` // of events_gone

	RequestID string `json:"request_id,omitempty"` // that of X-Request-ID; "" in a result of a batch
}

// A failure is an error as it is sent.
type failure struct {
	status  int
	code    contacts.Code
	message string
	details []contacts.FieldError
	header  [2]string // its name and value; "": none

	conflicts []contacts.Conflict
	doNotCall *contacts.DoNotCallVerdict
	next      int64 // the next sequence
}

// Error implements error.
func (f *failure) Error() string { return "contactshttp: " + string(f.code) + ": " + f.message }

func (f *failure) body() *ErrorBody {
	return &ErrorBody{Error: f.code, Message: f.message, Details: f.details, Conflicts: f.conflicts, DoNotCall: f.doNotCall, NextSequence: f.next}
}

// answer returns the answer to the request with that id.
func (f *failure) answer(id string) *answer {
	body := f.body()
	body.RequestID = id
	a := &answer{status: f.status, body: body}
	if name, value := f.header[0], f.header[1]; name != "" {
		a.set(name, value)
	}
	return a
}

// failureOf returns what is sent for an error. The cause of the error is never
// sent.
func failureOf(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	e, ok := errors.AsType[*contacts.Error](err)
	if !ok { // a Service returns no other errors
		return failureOf(contacts.ErrServer)
	}
	f := &failure{
		status: statusOf(e.Code), code: e.Code, message: e.Message, details: e.Details,
		conflicts: e.Conflicts, doNotCall: e.DoNotCall, next: e.NextSequence,
	}
	switch {
	case errors.Is(err, contacts.ErrBodyTooLarge) || isMaxBytes(err):
		f.status, f.code, f.message = http.StatusRequestEntityTooLarge, CodeBodyTooLarge, strings.TrimPrefix(e.Message, "invalid JSON: ")
	case f.status == http.StatusUnauthorized:
		f.header = [2]string{"WWW-Authenticate", "Bearer"} // RFC 6750, section 3
	}
	return f
}

// statusOf returns the status of a code. A host's authenticator may return the
// codes of HTTP alone too.
func statusOf(code contacts.Code) int {
	switch code {
	case CodeMethodNotAllowed:
		return http.StatusMethodNotAllowed
	case CodeBodyTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeUnsupportedMediaType:
		return http.StatusUnsupportedMediaType
	case CodeRateLimitExceeded:
		return http.StatusTooManyRequests
	default:
		return code.HTTPStatus()
	}
}

// isMaxBytes reports whether an [http.MaxBytesReader] around the handler cut the
// body.
func isMaxBytes(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

// errNoRoute is the answer outside of the routes. It names where they start: a
// handler may be mounted at another path than that of its Prefix.
func errNoRoute(prefix string) error {
	return &failure{
		status: http.StatusNotFound, code: contacts.CodeNotFound,
		message: "there is nothing at this path; those of this API are in " + prefix + "/openapi.json",
	}
}

func errMethod(allow string) error {
	return &failure{
		status: http.StatusMethodNotAllowed, code: CodeMethodNotAllowed,
		message: "this path takes " + allow, header: [2]string{"Allow", allow},
	}
}

func errRate(wait time.Duration) error {
	seconds := strconv.FormatInt(max(seconds(wait), 1), 10)
	return &failure{
		status: http.StatusTooManyRequests, code: CodeRateLimitExceeded,
		message: "too many requests with this API key; try again in " + seconds + " s",
		header:  [2]string{"Retry-After", seconds}, // RFC 9110, section 10.2.3
	}
}

func errMedia(message, header, value string) error {
	return &failure{
		status: http.StatusUnsupportedMediaType, code: CodeUnsupportedMediaType,
		message: message, header: [2]string{header, value},
	}
}

// problems collects what is wrong with a request besides its body.
type problems []contacts.FieldError

// maxProblems bounds how many are reported: the answer must not be many times as
// long as the request.
const maxProblems = 20

func (p *problems) add(field, code, message string) {
	if len(*p) < maxProblems {
		*p = append(*p, contacts.FieldError{Field: field, Code: code, Message: message})
	}
}

// err returns one error for all problems, nil if there are none.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return contacts.NewValidationError(p...)
}
