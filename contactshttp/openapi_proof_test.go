package contactshttp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/contacts"
	"example.com/contacts/contactshttp"
	"example.com/contacts/contactstest"
)

// A description is openapi.json, with the parts of it that the test has seen.
type description struct {
	t          *testing.T
	root       any
	compiler   *jsonschema.Compiler
	schemas    map[string]*jsonschema.Schema
	operations []*operation
	seen       map[string]bool
}

type operation struct {
	id, method, path string
	pointer          string
	open             bool // needs no key
}

const descriptionURL = "file:///openapi.json"

func loadDescription(t *testing.T) *description {
	t.Helper()
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(contactshttp.Describe(true)))
	if err != nil {
		t.Fatal(err)
	}
	d := &description{t: t, root: root, schemas: make(map[string]*jsonschema.Schema), seen: make(map[string]bool)}
	strict, err := jsonschema.UnmarshalJSON(bytes.NewReader(contactshttp.Describe(true)))
	if err != nil {
		t.Fatal(err)
	}
	closeObjects(strict)
	d.compiler = jsonschema.NewCompiler()
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(descriptionURL, strict); err != nil {
		t.Fatal(err)
	}
	_, paths := d.at("#/paths")
	for path, item := range paths {
		for _, method := range []string{"get", "put", "post", "patch", "delete"} {
			if _, ok := item.(map[string]any)[method]; !ok {
				continue
			}
			pointer, node := d.at("#/paths/" + escapeToken(path) + "/" + method)
			op := &operation{method: strings.ToUpper(method), path: path, pointer: pointer}
			op.id, _ = node["operationId"].(string)
			security, ok := node["security"].([]any)
			op.open = ok && len(security) == 0
			d.operations = append(d.operations, op)
		}
	}
	slices.SortFunc(d.operations, func(a, b *operation) int { return strings.Compare(a.id, b.id) })
	return d
}

// closeObjects refuses unknown fields in answers. The description lets answers get
// new fields, but this handler must not have them yet.
func closeObjects(node any) {
	switch node := node.(type) {
	case []any:
		for _, n := range node {
			closeObjects(n)
		}
	case map[string]any:
		_, open := node["additionalProperties"]
		if _, ok := node["properties"]; ok && !open && node["type"] == "object" {
			node["additionalProperties"] = false
		}
		for _, n := range node {
			closeObjects(n)
		}
	}
}

func escapeToken(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}

// at follows a JSON pointer and all references on the way. It returns the object
// there, nil if there is none, and its own pointer.
func (d *description) at(pointer string) (string, map[string]any) {
	here, node := "#", d.root
	for token := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(pointer, "#"), "/"), "/") {
		key := strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch n := node.(type) {
		case map[string]any:
			node = n[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(n) {
				return "", nil
			}
			node = n[i]
		}
		here += "/" + token
		if n, ok := node.(map[string]any); ok {
			if ref, ok := n["$ref"].(string); ok {
				var m map[string]any
				here, m = d.at(ref)
				node = m
			}
		}
	}
	m, _ := node.(map[string]any)
	return here, m
}

func (d *description) schema(pointer string) *jsonschema.Schema {
	d.t.Helper()
	s := d.schemas[pointer]
	if s == nil {
		var err error
		if s, err = d.compiler.Compile(descriptionURL + strings.NewReplacer("{", "%7B", "}", "%7D").Replace(pointer)); err != nil {
			d.t.Fatal(err)
		}
		d.schemas[pointer] = s
	}
	return s
}

func (d *description) byID(id string) *operation {
	d.t.Helper()
	i := slices.IndexFunc(d.operations, func(op *operation) bool { return op.id == id })
	if i < 0 {
		d.t.Fatalf("the operation %s is not described", id)
	}
	return d.operations[i]
}

// parameters returns the parameters of the operation, in the query and in headers.
func (d *description) parameters(op *operation) map[string]string {
	found := make(map[string]string)
	for _, list := range []string{op.pointer[:strings.LastIndexByte(op.pointer, '/')] + "/parameters", op.pointer + "/parameters"} {
		for i := 0; ; i++ {
			pointer, p := d.at(list + "/" + strconv.Itoa(i))
			if p == nil {
				break
			}
			if p["in"] != "path" {
				found[fmt.Sprint(p["in"], " ", p["name"])] = pointer
			}
		}
	}
	return found
}

// hasDryRun reports whether the operation has a dry run.
func (d *description) hasDryRun(op *operation) bool {
	_, has := d.parameters(op)["query dry_run"]
	return has
}

// enum returns the strings of an enum.
func (d *description) enum(pointer string) (words []string) {
	_, schema := d.at(pointer)
	list, _ := schema["enum"].([]any)
	for _, v := range list {
		words = append(words, fmt.Sprint(v))
	}
	return words
}

// described returns everything that the test must see.
func (d *description) described() map[string]bool {
	all := make(map[string]bool)
	for _, op := range d.operations {
		all[op.id] = true
		for p := range d.parameters(op) {
			all[op.id+" takes "+p] = true
		}
		_, body := d.at(op.pointer + "/requestBody/content")
		for media := range body {
			all[op.id+" takes "+media] = true
		}
		_, responses := d.at(op.pointer + "/responses")
		for status := range responses {
			name := op.id + " " + status
			all[name] = true
			pointer, r := d.at(op.pointer + "/responses/" + status)
			headers, _ := r["headers"].(map[string]any)
			for h := range headers {
				switch {
				case op.open && strings.HasPrefix(h, "RateLimit"): // which limits keys
				case h == "Dry-Run" && !d.hasDryRun(op):
				default:
					all[name+" "+h] = true
				}
			}
			schema := pointer + "/content/application~1json/schema"
			for _, code := range d.enum(schema + "/allOf/1/properties/error") {
				all[name+" "+code] = true
			}
			d.describedValue(schema, all)
		}
	}
	for _, code := range d.enum("#/components/schemas/ErrorCode") {
		all["code "+code] = true
	}
	for _, code := range d.enum("#/components/schemas/FieldErrorCode") {
		all["field code "+code] = true
	}
	for _, code := range d.enum("#/components/schemas/BatchFailed/properties/error/allOf/1/properties/error") {
		all["batch result "+code] = true
	}
	for _, status := range d.enum("#/components/schemas/BatchFailed/properties/status") {
		all["batch result "+status] = true
	}
	for _, result := range d.enum("#/components/schemas/BatchCreated/properties/result") {
		all["batch result "+result] = true
	}
	all["batch result 200"], all["batch result 201"] = true, true
	all["batch result replayed"] = true
	_, schemes := d.at("#/components/securitySchemes")
	for name := range schemes {
		all["key in "+name] = true
	}
	_, responses := d.at("#/components/responses/MethodNotAllowed")
	for h := range responses["headers"].(map[string]any) {
		all["method_not_allowed "+h] = true
	}
	return all
}

// describedValue adds the properties of a schema and of the schemas in it. Each must
// be seen. Each that is not required must be seen missing too.
func (d *description) describedValue(pointer string, all map[string]bool) {
	here, schema := d.at(pointer)
	if all[here] || len(schema) == 0 {
		return
	}
	all[here] = true
	required, _ := schema["required"].([]any)
	properties, _ := schema["properties"].(map[string]any)
	for name := range properties {
		all[here+" has "+name] = true
		if !slices.Contains(required, any(name)) {
			all[here+" lacks "+name] = true
		}
		d.describedValue(here+"/properties/"+name, all)
	}
	d.describedValue(here+"/items", all)
	for _, of := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := schema[of].([]any)
		for i := range list {
			d.describedValue(fmt.Sprintf("%s/%s/%d", here, of, i), all)
		}
	}
}

// seeValue notes the properties of a value that the schema accepts.
func (d *description) seeValue(pointer string, value any) {
	here, schema := d.at(pointer)
	if schema == nil {
		return
	}
	d.seen[here] = true
	for _, of := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := schema[of].([]any)
		for i := range list {
			part, _ := d.at(fmt.Sprintf("%s/%s/%d", here, of, i))
			if of == "allOf" || d.schema(part).Validate(value) == nil {
				d.seeValue(part, value)
			}
		}
	}
	switch value := value.(type) {
	case []any:
		for _, v := range value[:min(len(value), 100)] {
			d.seeValue(here+"/items", v)
		}
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for name := range properties {
			v, ok := value[name]
			if !ok {
				d.seen[here+" lacks "+name] = true
				continue
			}
			d.seen[here+" has "+name] = true
			d.seeValue(here+"/properties/"+name, v)
		}
	}
}

// A proof is a server with its description and keys.
type proof struct {
	*description
	f    *contactstest.Fixture
	url  string
	wire http.RoundTripper // of this server alone

	other   *contacts.Team // which only the fixture's key may access
	nothing string         // a key without permissions
	limited string         // a key that may do everything, for the fixture's team
}

func newProof(t *testing.T, d *description) *proof {
	t.Helper()
	s := &proof{description: d, f: contactstest.New(t, nil)}
	var err error
	if s.other, err = s.f.Admin.CreateTeam(t.Context(), contacts.Team{AccountID: s.f.Account.ID, Name: "Other"}); err != nil {
		t.Fatal(err)
	}
	if err := s.f.Admin.SetEvents(t.Context(), s.f.Account.ID, contacts.EventSettings{On: true}); err != nil {
		t.Fatal(err)
	}
	s.nothing = s.issue(t, contacts.IssueKeyInput{AllTeams: true})
	s.limited = s.issue(t, contacts.IssueKeyInput{
		Permissions: []contacts.Permission{contacts.PermissionReadContacts, contacts.PermissionWriteContacts},
		TeamIDs:     []int64{s.f.Team.ID},
	})
	s.url, s.wire = listen(t, s.f.Service, &contactshttp.Options{KeyInQuery: true, RateLimit: 1_000_000})
	return s
}

func listen(t *testing.T, svc *contacts.Service, opts *contactshttp.Options) (url string, wire http.RoundTripper) {
	t.Helper()
	server := httptest.NewServer(contactshttp.NewHandler(svc, opts))
	t.Cleanup(server.Close)
	return server.URL, server.Client().Transport
}

func (s *proof) issue(t *testing.T, in contacts.IssueKeyInput) string {
	t.Helper()
	in.AccountID, in.Name = s.f.Account.ID, "another"
	key, _, err := s.f.Admin.IssueKey(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// in returns the proof for a subtest.
func (s *proof) in(t *testing.T) *proof {
	d, c := *s.description, *s
	d.t, c.description = t, &d
	return &c
}

// with returns the proof with another service or other options.
func (s *proof) with(svc *contacts.Service, opts contactshttp.Options) *proof {
	s.t.Helper()
	c := *s
	c.url, c.wire = listen(s.t, svc, &opts)
	return &c
}

// service returns a service on the fixture's contacts.
func (s *proof) service(opts *contacts.Options, wrap func(contacts.Store) contacts.Store) *contacts.Service {
	s.t.Helper()
	store := s.f.Store
	if wrap != nil {
		store = wrap(store)
	}
	svc, err := contacts.New(store, opts)
	if err != nil {
		s.t.Fatal(err)
	}
	return svc
}

// contact creates a contact.
func (s *proof) contact() *contacts.Contact {
	s.t.Helper()
	c, err := s.f.Service.CreateContact(s.t.Context(), s.f.Key, contacts.CreateContactInput{
		FirstName: "John", LastName: "Doe", PhoneNumbers: []contacts.PhoneNumberInput{{PhoneNumber: "+15551234567"}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// An asked is a request of an operation. If it has no key, it gets the fixture's.
type asked struct {
	op     string // its operationId
	id     string // in the path
	query  url.Values
	header http.Header
	body   string
}

// valid returns a request of the operation that succeeds.
func (s *proof) valid(op string) asked {
	s.t.Helper()
	r := asked{op: op, header: make(http.Header), query: make(url.Values)}
	switch op {
	case "createContact", "replaceContact", "upsertContact":
		r.body = `{"first_name": "John"}`
	case "createContacts":
		r.body = `{"contacts": [{"first_name": "John"}]}`
	case "updateContact":
		r.body = `{"stage": "customer"}`
	case "blockCalls":
		r.body = `{"phone_number": "+12025550199"}`
	case "grantCalls":
		r.body = `{"phone_number": "+12025550199", "reason": "asked", "reference": "form 7"}`
	case "blockCallsBatch":
		r.body = `{"entries": [{"phone_number": "+12025550199"}]}`
	case "canCallMany":
		r.body = `{"phone_numbers": ["+12025550199"]}`
	case "canCall":
		r.query.Set("phone_number", "+12025550100")
	case "listContacts", "getContact", "deleteContact", "restoreContact", "findDuplicates", "getContactHistory", "listEvents", "getDoNotCall", "getOpenAPI":
	default:
		s.t.Fatalf("the test does not know the operation %s", op)
	}
	if strings.Contains(s.byID(op).path, "{id}") {
		r.id = s.contact().ID.String()
	}
	if op == "restoreContact" {
		if err := s.f.Service.DeleteContact(s.t.Context(), s.f.Key, uuid.MustParse(r.id), nil); err != nil {
			s.t.Fatal(err)
		}
	}
	return r
}

// dry returns the dry run of the request.
func (r asked) dry() asked {
	query := url.Values{"dry_run": {"true"}}
	maps.Copy(query, r.query)
	r.query = query
	return r
}

// unnamed returns the body of an error without the id of its request.
func unnamed(body any) map[string]any {
	e, _ := body.(map[string]any)
	e = maps.Clone(e)
	delete(e, "request_id")
	return e
}

type answered struct {
	status int
	header http.Header
	text   string
	body   any // of the text
}

// taken reports whether the request was accepted as a whole. A key that was used
// before is of the right form.
func (r *answered) taken() bool {
	if r.status == http.StatusConflict {
		return true
	}
	body, _ := r.body.(map[string]any)
	failed, isBatch := body["failed"]
	return r.status < 300 && (!isBatch || failed == json.Number("0"))
}

// code returns the code of an error.
func (r *answered) code() string {
	body, _ := r.body.(map[string]any)
	code, _ := body["error"].(string)
	return code
}

// fields returns each wrong field with its code.
func (r *answered) fields() (fields []string) {
	body, _ := r.body.(map[string]any)
	details, _ := body["details"].([]any)
	for _, d := range details {
		d, _ := d.(map[string]any)
		fields = append(fields, fmt.Sprint(d["field"], " ", d["code"]))
	}
	return fields
}

// send makes the request and compares the answer with the description.
func (s *proof) send(r asked) *answered {
	s.t.Helper()
	op := s.byID(r.op)
	header := r.header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	if r.body != "" && header["Content-Type"] == nil {
		header.Set("Content-Type", "application/json")
	}
	if header["Authorization"] == nil && header["X-Api-Key"] == nil && r.query["api_key"] == nil && !op.open {
		header.Set("Authorization", "Bearer "+s.f.Key)
	}
	path := strings.ReplaceAll(op.path, "{id}", r.id)
	answer := s.exchange(op.method, path, r.query, header, r.body)
	s.check(op, r, header, answer)
	return answer
}

// want is send with the expected status and code. "": no error. The dry run of a
// request that fails must fail in the same way. It comes later, so a failure that is
// made once is no matter of it.
func (s *proof) want(status int, code string, r asked) *answered {
	s.t.Helper()
	a := s.send(r)
	if a.status != status || a.code() != code {
		s.t.Errorf("%s: got %d %q, want %d %q\nrequest: %.300s\nanswer: %.500s", r.op, a.status, a.code(), status, code, r.body, a.text)
	}
	if status >= 400 && status != 500 && s.hasDryRun(s.byID(r.op)) && !r.query.Has("dry_run") {
		dry := s.send(r.dry())
		if diff := cmp.Diff(unnamed(a.body), unnamed(dry.body)); diff != "" || dry.status != status || dry.header.Get("Dry-Run") != "true" {
			s.t.Errorf("%s: the dry run got %d, Dry-Run %q (-want +got):\n%s", r.op, dry.status, dry.header.Get("Dry-Run"), diff)
		}
	}
	return a
}

func (s *proof) exchange(method, path string, query url.Values, header http.Header, body string) *answered {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.URL.RawQuery = query.Encode()
	if header != nil {
		req.Header = header
	}
	res, err := s.wire.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	answer := &answered{status: res.StatusCode, header: res.Header, text: string(text)}
	if len(text) > 0 {
		if answer.body, err = jsonschema.UnmarshalJSON(bytes.NewReader(text)); err != nil {
			s.t.Errorf("%s %s: the body of the answer is not JSON: %v: %.500s", method, path, err, text)
		}
	}
	return answer
}

// check compares an answer with the description of the operation.
func (s *proof) check(op *operation, r asked, header http.Header, a *answered) {
	s.t.Helper()
	name := fmt.Sprintf("%s %d", op.id, a.status)
	pointer, node := s.at(fmt.Sprintf("%s/responses/%d", op.pointer, a.status))
	if node == nil {
		s.t.Errorf("%s: this status is not described: %.500s", name, a.text)
		return
	}
	s.seen[op.id], s.seen[name] = true, true
	s.checkAnswer(name, pointer, node, a)
	if a.status < 400 {
		s.checkRequest(op, r, header, a)
		s.seeResults(op, a)
	}
}

// everywhere are the headers of every answer, and those of HTTP itself.
var everywhere = []string{"Cache-Control", "X-Content-Type-Options", "Content-Length", "Content-Type", "Date"}

func (s *proof) checkAnswer(name, pointer string, node map[string]any, a *answered) {
	s.t.Helper()
	headers, _ := node["headers"].(map[string]any)
	canonical := make(map[string]bool)
	for h := range headers {
		canonical[http.CanonicalHeaderKey(h)] = true
		at, described := s.at(pointer + "/headers/" + h)
		values := a.header.Values(h)
		if len(values) == 0 {
			if described["required"] == true {
				s.t.Errorf("%s: the header %s is missing", name, h)
			}
			continue
		}
		s.seen[name+" "+h] = true
		if err := s.schema(at + "/schema").Validate(s.parameter(at, values[0])); err != nil || len(values) > 1 {
			s.t.Errorf("%s: the header %s is %q: %v", name, h, values, err)
		}
	}
	for h := range a.header {
		if !canonical[h] && !slices.Contains(everywhere, h) {
			s.t.Errorf("%s: the header %s is not described", name, h)
		}
	}
	content, _ := node["content"].(map[string]any)
	if len(content) == 0 {
		if a.text != "" {
			s.t.Errorf("%s: there is a body, and none is described: %.500s", name, a.text)
		}
		return
	}
	media, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if content[media] == nil || err != nil {
		s.t.Errorf("%s: the Content-Type %q is not described", name, a.header.Get("Content-Type"))
		return
	}
	schema := pointer + "/content/" + escapeToken(media) + "/schema"
	if err := s.schema(schema).Validate(a.body); err != nil {
		s.t.Errorf("%s: the body is not as described: %v\n%.1000s", name, err, a.text)
		return
	}
	s.seeValue(schema, a.body)
	if code := a.code(); code != "" {
		s.seen[name+" "+code], s.seen["code "+code] = true, true
		s.seeError(a.body)
	}
}

// seeError notes the messages of an error, and the codes of its details.
func (s *proof) seeError(body any) {
	for _, m := range messages(body) {
		s.seen["message "+m] = true
	}
	for _, f := range (&answered{body: body}).fields() {
		s.seen["field code "+f[strings.LastIndexByte(f, ' ')+1:]] = true
	}
}

var digits = regexp.MustCompile("[0-9]+")

// messages returns the messages of an error and of its details, without their
// numbers.
func messages(body any) (all []string) {
	failed, _ := body.(map[string]any)
	details, _ := failed["details"].([]any)
	for _, part := range append(details, failed) {
		if part, ok := part.(map[string]any); ok && part["message"] != nil {
			all = append(all, digits.ReplaceAllString(fmt.Sprint(part["message"]), "0"))
		}
	}
	return all
}

// seeResults notes the results of a batch.
func (s *proof) seeResults(op *operation, a *answered) {
	if op.id != "createContacts" {
		return
	}
	results, _ := a.body.(map[string]any)["results"].([]any)
	for _, r := range results {
		r, _ := r.(map[string]any)
		s.seen[fmt.Sprint("batch result ", r["status"])] = true
		s.seen[fmt.Sprint("batch result ", r["result"])] = true
		if r["replayed"] == true {
			s.seen["batch result replayed"] = true
		}
		if code := (&answered{body: r["error"]}).code(); code != "" {
			s.seen["batch result "+code], s.seen["code "+code] = true, true
			s.seeError(r["error"])
			if want := contacts.Code(code).HTTPStatus(); fmt.Sprint(r["status"]) != strconv.Itoa(want) {
				s.t.Errorf("a result of a batch has the status %v and the code %s", r["status"], code)
			}
		}
	}
}

// checkRequest compares an accepted request with the description.
func (s *proof) checkRequest(op *operation, r asked, header http.Header, a *answered) {
	s.t.Helper()
	parameters := s.parameters(op)
	for name, values := range r.query {
		if name == "api_key" {
			s.seen["key in query"] = true
			continue
		}
		at, ok := parameters["query "+name]
		if !ok {
			s.t.Errorf("%s: the handler accepts the parameter %s, which is not described", op.id, name)
			continue
		}
		s.seen[op.id+" takes query "+name] = true
		if err := s.schema(at + "/schema").Validate(s.parameter(at, values[0])); err != nil {
			s.t.Errorf("%s: the handler accepts %s=%.100q: %v", op.id, name, values[0], err)
		}
	}
	for name, at := range parameters {
		if h, ok := strings.CutPrefix(name, "header "); ok && header.Get(h) != "" {
			s.seen[op.id+" takes "+name] = true
			if err := s.schema(at + "/schema").Validate(s.parameter(at, header.Get(h))); err != nil {
				s.t.Errorf("%s: the handler accepts %s %.100q: %v", op.id, h, header.Get(h), err)
			}
		}
	}
	if strings.HasPrefix(header.Get("Authorization"), "Bearer ") {
		s.seen["key in bearer"] = true
	}
	if header.Get("X-API-Key") != "" {
		s.seen["key in header"] = true
	}
	if r.body == "" || !a.taken() {
		return
	}
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if err := s.accepts(op, media, r.body); err != nil {
		s.t.Errorf("%s: the handler accepts what the description refuses: %v\n%.500s", op.id, err, r.body)
	}
	s.seen[op.id+" takes "+media] = true
}

// accepts returns nil if the description accepts the body.
func (s *proof) accepts(op *operation, media, body string) error {
	s.t.Helper()
	at, node := s.at(op.pointer + "/requestBody/content/" + escapeToken(media))
	if node == nil {
		return fmt.Errorf("the media type %q is not described", media)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		return err
	}
	return s.schema(at + "/schema").Validate(value)
}

// parameter converts a header or a parameter to the type of its schema.
func (s *proof) parameter(at, text string) any {
	_, schema := s.at(at + "/schema")
	switch schema["type"] {
	case "integer":
		return json.Number(text)
	case "array":
		return []any{text}
	case "boolean":
		if v, err := strconv.ParseBool(text); err == nil {
			return v
		}
	}
	return text
}
