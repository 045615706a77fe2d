package contactsotel_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"

	"example.com/contacts"
	"example.com/contacts/contactsotel"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newSink(t, nil, contactsotel.Options{Attributes: database()})
	store := openSQLite(t, s)
	h := newHost(t, store, &contacts.Options{Observer: s})
	if _, err := s.Watch(store); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	h.CreateContact(ctx, h.key, ada())
	h.CreateContacts(ctx, h.key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{ada(), {}, ada()}})
	h.ListContacts(ctx, h.key, contacts.ListContactsInput{})
	h.GetContact(ctx, "unknown", uuid.Nil)
	// The calls of the do-not-call list, as a Service would report them.
	for op, o := range map[contacts.Operation]contacts.Outcome{
		"can_call":      {Code: contacts.CodeDoNotCall, Listed: 1},
		"can_call_many": {Returned: 4, Listed: 2, Failed: 1},
	} {
		items := map[contacts.Operation]int{"can_call": 1, "can_call_many": 5}[op]
		_, end := s.Begin(ctx, contacts.Call{Operation: op, Items: items})
		end(o)
	}
	_, end := s.Begin(ctx, contacts.Call{Operation: "can_call", Items: 1})
	end(contacts.Outcome{Code: contacts.CodeInvalidKey})

	got := make(map[string]float64)
	for _, one := range s.series(t) {
		got[one.metric+" "+one.unit+" "+text(one.attrs.ToSlice())] = one.value
	}
	stats := store.Stats()
	want := map[string]float64{
		"contacts.operation.duration s contacts.operation=create_contact":                     1,
		"contacts.operation.duration s contacts.operation=create_contacts":                    1,
		"contacts.operation.duration s contacts.operation=list_contacts":                      1,
		"contacts.operation.duration s contacts.operation=get_contact error.type=invalid_key": 1,
		"contacts.operation.duration s contacts.operation=can_call error.type=do_not_call":    1,
		"contacts.operation.duration s contacts.operation=can_call error.type=invalid_key":    1,
		"contacts.operation.duration s contacts.operation=can_call_many":                      1,

		"contacts.items {item} contacts.operation=create_contact contacts.result=created":  1,
		"contacts.items {item} contacts.operation=create_contacts contacts.result=created": 2,
		"contacts.items {item} contacts.operation=create_contacts contacts.result=failed":  1,
		"contacts.items {item} contacts.operation=list_contacts contacts.result=returned":  3,

		"contacts.items {item} contacts.operation=can_call_many contacts.result=returned": 4,
		"contacts.items {item} contacts.operation=can_call_many contacts.result=failed":   1,

		"contacts.do_not_call.checks {check} contacts.verdict=allowed":     2,
		"contacts.do_not_call.checks {check} contacts.verdict=do_not_call": 3,
		"contacts.do_not_call.checks {check} contacts.verdict=error":       2,

		"db.client.operation.duration s db.namespace=main db.operation.name=apply db.system.name=sqlite":       1,
		"db.client.operation.duration s db.namespace=main db.operation.name=BATCH apply db.system.name=sqlite": 1,
		"contacts.store.transaction.size {mutation} db.namespace=main db.system.name=sqlite":                   2,
		"contacts.store.wait.duration s db.namespace=main db.system.name=sqlite":                               2,

		"contacts.store.waiting {mutation} db.namespace=main db.system.name=sqlite": 0,
		"contacts.store.retries {retry} db.namespace=main db.system.name=sqlite":    0,
		"contacts.store.lock.waits {wait} db.namespace=main db.system.name=sqlite":  0,
		"contacts.store.unmerged {contact} db.namespace=main db.system.name=sqlite": 3,
		"contacts.store.log.size By db.namespace=main db.system.name=sqlite":        float64(stats.LogBytes),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("series (-want +got):\n%s", d)
	}
	if stats.LogBytes == 0 {
		t.Error("the -wal file is empty")
	}
}

// A number is counted by what was said of it, however the question was asked.
func TestChecks(t *testing.T) {
	t.Parallel()
	const free, listed = "+15551234567", "+15551234568"
	body := func(s string) io.Reader { return strings.NewReader(`{"phone_numbers": ` + s + `}`) }
	for _, test := range []struct {
		name string
		ask  func(ctx context.Context, h *host)
		want map[string]float64
	}{
		{"one that is free", func(ctx context.Context, h *host) { h.CanCall(ctx, h.key, free) }, map[string]float64{"allowed": 1}},
		{"one that is listed", func(ctx context.Context, h *host) { h.CanCall(ctx, h.key, listed) }, map[string]float64{"do_not_call": 1}},
		{"one that is no number", func(ctx context.Context, h *host) { h.CanCall(ctx, h.key, "ada") }, map[string]float64{"error": 1}},
		{"many", func(ctx context.Context, h *host) { h.CanCallMany(ctx, h.key, []string{free, listed, free, "ada"}) },
			map[string]float64{"allowed": 2, "do_not_call": 1, "error": 1}},
		{"many with an unknown key", func(ctx context.Context, h *host) { h.CanCallMany(ctx, "unknown", []string{free, listed}) }, map[string]float64{"error": 2}},
		{"many in JSON", func(ctx context.Context, h *host) {
			h.CanCallManyJSON(ctx, h.key, body(`["`+free+`", "`+listed+`", "`+free+`", "ada"]`))
		}, map[string]float64{"allowed": 2, "do_not_call": 1, "error": 1}},
		{"a body that is no JSON", func(ctx context.Context, h *host) { h.CanCallManyJSON(ctx, h.key, body("")) }, map[string]float64{"error": 1}},
		{"no numbers", func(ctx context.Context, h *host) { h.CanCallManyJSON(ctx, h.key, body("[]")) }, map[string]float64{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSink(t, nil, contactsotel.Options{})
			h := newHost(t, openMemory(t), &contacts.Options{Observer: s})
			if _, err := h.BlockCalls(t.Context(), h.key, contacts.DoNotCallInput{PhoneNumber: listed}); err != nil {
				t.Fatal(err)
			}
			test.ask(t.Context(), h)
			got := make(map[string]float64)
			for _, one := range s.series(t) {
				if verdict, ok := one.attrs.Value("contacts.verdict"); ok {
					got[verdict.AsString()] = one.value
				}
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("checks by verdict (-want +got):\n%s", d)
			}
		})
	}
}

// refuser refuses every key with the code of a listed number.
type refuser struct{}

func (refuser) Authenticate(context.Context, string) (*contacts.Principal, error) {
	return nil, &contacts.Error{Code: contacts.CodeDoNotCall}
}

// A call that was refused allowed nothing, whatever its code.
func TestRefusedChecksAllowNothing(t *testing.T) {
	t.Parallel()
	s := newSink(t, nil, contactsotel.Options{})
	svc, err := contacts.New(openMemory(t), &contacts.Options{Observer: s, Authenticator: refuser{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.CanCallMany(t.Context(), "key", []string{"+15551234567", "+15551234568"}); contacts.CodeOf(err) != contacts.CodeDoNotCall {
		t.Fatal(err)
	}
	for _, one := range s.series(t) {
		if verdict, ok := one.attrs.Value("contacts.verdict"); ok && (verdict.AsString() != "error" || one.value != 2) {
			t.Errorf("%v numbers count as %s", one.value, verdict.AsString())
		}
	}
}

func TestBoundaries(t *testing.T) {
	t.Parallel()
	s := newSink(t, nil, contactsotel.Options{})
	_, end := s.Begin(t.Context(), contacts.Call{Operation: contacts.OpGetContact})
	end(contacts.Outcome{})
	s.BeginTransaction(nil, contacts.StoreTransaction{System: "sqlite", Mutations: 3})(contacts.StoreTransactionOutcome{})
	var collected metricdata.ResourceMetrics
	if err := s.reader.Collect(t.Context(), &collected); err != nil {
		t.Fatal(err)
	}
	durations := []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}
	want := map[string][]float64{
		"contacts.operation.duration":     durations,
		"db.client.operation.duration":    durations,
		"contacts.store.wait.duration":    durations,
		"contacts.store.transaction.size": {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024},
	}
	got := make(map[string][]float64)
	for _, m := range collected.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Histogram[float64]:
			got[m.Name] = data.DataPoints[0].Bounds
		case metricdata.Histogram[int64]:
			got[m.Name] = data.DataPoints[0].Bounds
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("boundaries (-want +got):\n%s", d)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	s := newSink(t, nil, contactsotel.Options{})
	store, other := openSQLite(t, nil), openSQLite(t, nil)
	stop, err := s.Watch(store)
	if err != nil {
		t.Fatal(err)
	}
	watched := func() (n int) {
		for _, one := range s.series(t) {
			if strings.HasPrefix(one.metric, "contacts.store.") {
				n++
			}
		}
		return n
	}
	if n := watched(); n != 5 {
		t.Errorf("%d series of the store, want 5", n)
	}
	for _, again := range []interface{ Stats() contacts.StoreStats }{store, other} {
		if _, err := s.Watch(again); err == nil || !strings.Contains(err.Error(), "Options.Attributes") {
			t.Errorf("a second Watch: %v", err)
		}
	}
	for range 2 {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
	if n := watched(); n != 0 {
		t.Errorf("%d series of the store after stop, want none", n)
	}
	if _, err := s.Watch(other); err != nil {
		t.Errorf("a Watch after stop: %v", err)
	}
	if n := watched(); n != 5 {
		t.Errorf("%d series of the other store, want 5", n)
	}
	if _, err := s.Watch(nil); err == nil {
		t.Error("a nil store can be watched")
	}
}

// TestCardinality makes random calls and counts the series.
func TestCardinality(t *testing.T) {
	t.Parallel()
	s := newSink(t, nil, contactsotel.Options{Accounts: true})
	store := openMemory(t)
	h := newHost(t, store, &contacts.Options{Observer: s})
	keys := []string{"", "unknown"}
	for range 50 {
		_, key := newAccount(t, store)
		keys = append(keys, key)
	}
	random := rand.New(rand.NewPCG(1, 2))
	word := func() string { return fmt.Sprint("w", random.IntN(1000)) }
	ctx := t.Context()
	ids := []uuid.UUID{uuid.Nil}
	for call := range 10_000 {
		key := keys[random.IntN(len(keys))]
		id := ids[random.IntN(len(ids))]
		in := contacts.CreateContactInput{FirstName: word(), Email: word() + "@example.com", Tags: []string{word()}, Stage: word(), ExternalID: word()}
		number := fmt.Sprintf("+1555%07d", random.IntN(1000))
		switch random.IntN(15) {
		case 0:
			if c, err := h.CreateContact(ctx, key, in); err == nil {
				ids = append(ids, c.ID)
			}
		case 1:
			h.CreateContacts(ctx, key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{in, {}}})
		case 2:
			h.UpsertContact(ctx, key, contacts.UpsertContactInput{CreateContactInput: in, Mode: contacts.UpsertOverwrite})
		case 3:
			h.GetContact(ctx, key, id)
		case 4:
			h.ListContacts(ctx, key, contacts.ListContactsInput{Tag: word(), Limit: 1 + random.IntN(101)})
		case 5:
			h.UpdateContact(ctx, key, id, contacts.UpdateContactInput{City: new(word())}, &contacts.ChangeOptions{Version: int64(random.IntN(2))})
		case 6:
			h.ReplaceContact(ctx, key, id, in, nil)
		case 7:
			h.DeleteContact(ctx, key, id, nil)
		case 8:
			h.RestoreContact(ctx, key, id, nil)
		case 9:
			h.CanCall(ctx, key, number)
		case 10:
			h.BlockCalls(ctx, key, contacts.DoNotCallInput{PhoneNumber: number, Source: word(), Reason: word()})
		case 11:
			h.GrantCalls(ctx, key, contacts.DoNotCallInput{PhoneNumber: number, Reason: word(), Reference: word()})
		case 12:
			h.Events(ctx, key, contacts.EventsInput{After: int64(random.IntN(9)), ContactID: id})
		case 13:
			h.GetContactAsOf(ctx, key, id, time.Now())
		case 14:
			for range h.Duplicates(ctx, key, contacts.FindDuplicatesInput{}) {
				break
			}
		}
		if call%100 == 0 {
			s.spans.Reset()
		}
	}
	all := s.series(t)
	if len(all) > 300 || len(all) < 20 {
		t.Errorf("%d series, want some, and at most 300", len(all))
	}
}

// A code that an Authenticator makes up is not a value of an attribute.
func TestCodeOfAnAuthenticator(t *testing.T) {
	t.Parallel()
	s := newSink(t, nil, contactsotel.Options{})
	for i := range 10 {
		_, end := s.Begin(t.Context(), contacts.Call{Operation: contacts.OpGetContact})
		end(contacts.Outcome{Code: contacts.Code(fmt.Sprint("plan expired ", i))})
	}
	if all := s.series(t); len(all) != 1 || text(all[0].attrs.ToSlice()) != "contacts.operation=get_contact error.type=_OTHER" {
		t.Errorf("the series are %v", all)
	}
}

// TestSemanticConventions compares the names with those of the conventions.
func TestSemanticConventions(t *testing.T) {
	t.Parallel()
	s := newSink(t, nil, contactsotel.Options{})
	ctx, end := s.Begin(t.Context(), contacts.Call{Operation: contacts.OpCreateContacts, Items: 2})
	for _, system := range []string{"sqlite", "postgresql"} {
		s.BeginTransaction([]context.Context{ctx}, contacts.StoreTransaction{System: system, Mutations: 2})(contacts.StoreTransactionOutcome{Err: contacts.ErrClosed})
	}
	end(contacts.Outcome{Code: contacts.CodeServerError})
	wantStore := []attribute.Key{semconv.DBOperationBatchSizeKey, semconv.DBOperationNameKey, semconv.DBSystemNameKey, semconv.ErrorTypeKey}
	systems := make(map[attribute.Value]bool)
	for _, span := range s.take() {
		var db []attribute.Key
		for _, a := range span.Attributes {
			if !strings.HasPrefix(string(a.Key), "contacts.") {
				db = append(db, a.Key)
			}
			if a.Key == semconv.DBSystemNameKey {
				systems[a.Value] = true
			}
		}
		slices.Sort(db)
		want := wantStore
		if span.Name == "create contacts" {
			want = []attribute.Key{semconv.ErrorTypeKey}
		}
		if d := cmp.Diff(want, db); d != "" {
			t.Errorf("%s: attributes (-want +got):\n%s", span.Name, d)
		}
	}
	known := map[attribute.Value]bool{semconv.DBSystemNameSQLite.Value: true, semconv.DBSystemNamePostgreSQL.Value: true}
	if !maps.Equal(systems, known) {
		t.Errorf("the systems are %v, want %v", systems, known)
	}
	var found bool
	for _, one := range s.series(t) {
		found = found || one.metric == dbconv.ClientOperationDuration{}.Name() && one.unit == dbconv.ClientOperationDuration{}.Unit()
	}
	if !found {
		t.Errorf("there is no %s", dbconv.ClientOperationDuration{}.Name())
	}
}

// TestNoPersonalData puts an unmistakable word into everything that callers give.
func TestNoPersonalData(t *testing.T) {
	t.Parallel()
	const secret = "xyzzy"
	s := newSink(t, nil, contactsotel.Options{})
	store := openSQLite(t, s)
	h := newHost(t, store, &contacts.Options{Observer: s})
	if _, err := s.Watch(store); err != nil {
		t.Fatal(err)
	}
	in := contacts.CreateContactInput{
		FirstName: secret, LastName: secret, Email: secret + "@example.com", Company: secret, Website: secret + ".example.com", Address: secret, City: secret,
		State: secret, ZipCode: secret, Country: secret, Status: secret, Stage: secret, ExternalID: secret, Tags: []string{secret}, IdempotencyKey: secret,
		PhoneNumbers:  []contacts.PhoneNumberInput{{PhoneNumber: "+15557654321", PhoneType: secret}},
		CustomContext: map[string]any{secret: secret}, IndustryContext: map[string]any{secret: secret},
	}
	ctx := t.Context()
	john, err := h.CreateContact(ctx, h.key, in)
	if err != nil {
		t.Fatal(err)
	}
	in.IdempotencyKey = ""
	h.CreateContact(ctx, h.key, in) // the external id is taken
	h.CreateContact(ctx, secret, in)
	h.CreateContactJSON(ctx, h.key, strings.NewReader(`{"`+secret+`": 1}`))
	h.UpsertContact(ctx, h.key, contacts.UpsertContactInput{CreateContactInput: in})
	h.UpdateContact(ctx, h.key, john.ID, contacts.UpdateContactInput{Email: new("no address " + secret)}, nil)
	h.ListContacts(ctx, h.key, contacts.ListContactsInput{Search: secret, PhoneNumber: "+15557654321"})
	h.ListContacts(ctx, h.key, contacts.ListContactsInput{Cursor: secret})
	block := contacts.DoNotCallInput{PhoneNumber: "+15557654321", Source: secret, Reason: secret, Reference: secret}
	h.BlockCalls(ctx, h.key, block)
	h.GrantCalls(ctx, h.key, block)
	h.CanCall(ctx, h.key, "+15557654321")
	h.CanCallMany(ctx, h.key, []string{"+15557654321", secret})
	h.Events(ctx, h.key, contacts.EventsInput{ContactID: john.ID})
	h.ReplaceContact(contacts.WithEventSource(ctx, secret), h.key, john.ID, in, nil)
	h.GetContactAsOf(ctx, h.key, john.ID, time.Now())
	in.Email = "no address " + secret
	h.CreateContacts(ctx, h.key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{in, in}})

	// The file goes away, and errors name it.
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	h.GetContact(ctx, h.key, john.ID)

	var all []string
	for _, span := range s.take() {
		all = append(all, span.Name, span.Status.Description, text(span.Attributes), fmt.Sprint(span.Events))
	}
	if len(all) < 4*10 {
		t.Fatalf("%d spans are too few", len(all)/4)
	}
	for _, one := range s.series(t) {
		all = append(all, one.metric, text(one.attrs.ToSlice()))
	}
	for _, one := range all {
		for _, hidden := range []string{secret, "5557654321", h.key, john.ID.String(), h.account.ID.String()} {
			if strings.Contains(one, hidden) {
				t.Errorf("%q holds %q", one, hidden)
			}
		}
	}
}
