package contactshttp

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"example.com/contacts"
)

// A route is one path and its methods.
type route struct {
	pattern string // of [http.ServeMux], after the prefix, without a method
	methods map[string]endpoint
}

// An endpoint is one method of a route.
type endpoint struct {
	operation  contacts.Operation // what the key must allow; "": no key is needed
	parameters []string           // of the query, besides the key
	repeated   []string           // those of them that may be given more than once
	media      []string           // accepted types of the body; nil: the body is not read
	read       func(*call)        // reads parameters and headers into the call; nil: there are none
	do         func(*call) (*answer, error)
	page       http.Handler // in place of all the above: it answers by itself
}

// hasDryRun reports whether the endpoint has a dry run.
func (e *endpoint) hasDryRun() bool { return slices.Contains(e.parameters, parameterDryRun) }

const (
	typeJSON       = "application/json"
	typeMergePatch = "application/merge-patch+json" // RFC 7396
)

// routes returns the routes. Their patterns have no methods, because the mux would
// answer a missing method in its own words.
func (h *handler) routes() []route {
	body, dry := []string{typeJSON}, []string{parameterDryRun}
	routes := []route{
		{"/contacts", map[string]endpoint{
			http.MethodGet: {operation: contacts.OpListContacts, parameters: listParameters(), read: (*call).readList, do: h.list},
		}},
		{"/contacts/create", map[string]endpoint{
			http.MethodPost: {operation: contacts.OpCreateContact, parameters: dry, media: body, read: (*call).readCreate, do: h.create},
		}},
		{"/contacts/upsert", map[string]endpoint{
			http.MethodPost: {operation: contacts.OpUpsertContact, parameters: dry, media: body, read: (*call).readCreate, do: h.upsert},
		}},
		{"/contacts/batch", map[string]endpoint{
			http.MethodPost: {operation: contacts.OpCreateContacts, parameters: dry, media: body, read: (*call).readBatch, do: h.createBatch},
		}},
		{"/contacts/duplicates", map[string]endpoint{
			http.MethodGet: {operation: contacts.OpFindDuplicates, parameters: []string{"cursor", "key", "limit"}, read: (*call).readDuplicates, do: h.findDuplicates},
		}},
		{"/contacts/{id}", map[string]endpoint{
			http.MethodGet:    {operation: contacts.OpGetContact, parameters: []string{"as_of"}, read: (*call).readAsOf, do: h.get},
			http.MethodDelete: {operation: contacts.OpDeleteContact, read: (*call).readCondition, do: h.delete},
		}},
		{"/contacts/{id}/history", map[string]endpoint{
			http.MethodGet: {operation: contacts.OpListHistory, parameters: []string{"before", "limit"}, read: (*call).readHistory, do: h.history},
		}},
		{"/events", map[string]endpoint{
			http.MethodGet: {
				operation: contacts.OpListEvents, parameters: []string{"after", "contact_id", "limit", "type"}, repeated: []string{"type"},
				read: (*call).readEvents, do: h.events,
			},
		}},
		{"/contacts/{id}/update", map[string]endpoint{
			http.MethodPut:   {operation: contacts.OpReplaceContact, parameters: dry, media: body, read: (*call).readCondition, do: h.replace},
			http.MethodPatch: {operation: contacts.OpUpdateContact, parameters: dry, media: []string{typeJSON, typeMergePatch}, read: (*call).readCondition, do: h.update},
		}},
		{"/contacts/{id}/restore", map[string]endpoint{
			http.MethodPost: {operation: contacts.OpRestoreContact, read: (*call).readCondition, do: h.restore},
		}},
		{"/do-not-call", map[string]endpoint{
			http.MethodGet: {
				operation: contacts.OpDoNotCallStatus, parameters: []string{"all", "cursor", "limit", "phone_number", "source"},
				read: (*call).readDoNotCall, do: h.doNotCall,
			},
			http.MethodPost: {operation: contacts.OpBlockCalls, parameters: dry, media: body, read: (*call).refuseKeyOfCreate, do: h.blockCalls},
		}},
		{"/do-not-call/grant", map[string]endpoint{
			http.MethodPost: {operation: contacts.OpGrantCalls, media: body, read: (*call).refuseKeyOfGrant, do: h.grantCalls},
		}},
		{"/do-not-call/batch", map[string]endpoint{
			http.MethodPost: {operation: contacts.OpBlockCallsBatch, parameters: dry, media: body, read: (*call).refuseKeyOfCreate, do: h.blockBatch},
		}},
		{"/do-not-call/check", map[string]endpoint{
			http.MethodGet:  {operation: contacts.OpCanCall, parameters: []string{"phone_number"}, read: (*call).readNumber, do: h.canCall},
			http.MethodPost: {operation: contacts.OpCanCallMany, media: body, read: (*call).refuseKeyOfCreate, do: h.canCallMany},
		}},
		{"/openapi.json", map[string]endpoint{
			http.MethodGet: {do: h.describe},
		}},
		{"/", nil}, // all other paths
	}
	if h.docs != nil {
		page := map[string]endpoint{http.MethodGet: {page: h.docs}}
		routes = append(routes, route{"/docs", page}, route{"/docs/", page})
	}
	return routes
}

// find returns the endpoint of a method. HEAD is a GET whose answer net/http sends
// without the body (RFC 9110, section 9.3.2).
func (r *route) find(method string) (endpoint, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	e, ok := r.methods[method]
	return e, ok
}

// allow returns the methods of the route, for Allow.
func (r *route) allow() string {
	methods := slices.Sorted(maps.Keys(r.methods))
	if _, ok := r.methods[http.MethodGet]; ok {
		methods = append(methods, http.MethodHead)
	}
	methods = append(methods, http.MethodOptions)
	return strings.Join(methods, ", ")
}

// options answers OPTIONS.
func (r *route) options() *answer {
	a := &answer{status: http.StatusNoContent}
	a.set("Allow", r.allow())
	if e, ok := r.methods[http.MethodPatch]; ok {
		a.set("Accept-Patch", strings.Join(e.media, ", ")) // RFC 5789, section 3.1
	}
	return a
}
