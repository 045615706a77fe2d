package contactsotel_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"example.com/contacts"
	"example.com/contacts/contactsotel"
)

func TestSpans(t *testing.T) {
	t.Parallel()
	t.Run("calls", func(t *testing.T) { t.Parallel(); spansOfCalls(t) })
	t.Run("a transaction of one call", func(t *testing.T) { t.Parallel(); spanOfOneCall(t) })
	t.Run("a transaction of eight calls", func(t *testing.T) { t.Parallel(); spanOfEightCalls(t) })
	t.Run("a transaction that fails", func(t *testing.T) { t.Parallel(); spanOfAFailure(t) })
	t.Run("nothing is sampled", func(t *testing.T) { t.Parallel(); nothingIsSampled(t) })
	t.Run("more calls than links", func(t *testing.T) { t.Parallel(); moreCallsThanLinks(t) })
}

// seen is what a test compares of a span.
type seen struct {
	Name, Status, Attributes string
	Kind                     trace.SpanKind
}

func see(s tracetest.SpanStub) seen {
	status := s.Status.Code.String()
	if s.Status.Description != "" {
		status += ": " + s.Status.Description
	}
	return seen{s.Name, status, text(s.Attributes), s.SpanKind}
}

func spansOfCalls(t *testing.T) {
	s := newSink(t, nil, contactsotel.Options{Accounts: true})
	store := &brokenStore{Store: openMemory(t)}
	h := newHost(t, store, &contacts.Options{Observer: s})
	account := "contacts.account.id=" + h.account.ID.String()
	ctx := t.Context()
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, c := range []struct {
		what       string
		call       func()
		err        error // of the store
		name       string
		status     codes.Code
		attributes string
	}{
		{"a create", func() { h.CreateContact(ctx, h.key, ada()) }, nil,
			"create contact", codes.Unset, account + " contacts.created=1 contacts.items=1 contacts.operation=create_contact"},
		{"a batch in which one fails", func() {
			h.CreateContacts(ctx, h.key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{ada(), {}, ada()}})
		}, nil, "create contacts", codes.Unset, account + " contacts.created=2 contacts.failed=1 contacts.items=3 contacts.operation=create_contacts"},
		{"a list", func() { h.ListContacts(ctx, h.key, contacts.ListContactsInput{}) }, nil,
			"list contacts", codes.Unset, account + " contacts.operation=list_contacts contacts.returned=3"},
		{"an unknown key", func() { h.GetContact(ctx, "unknown", uuid.Nil) }, nil,
			"get contact", codes.Unset, "contacts.items=1 contacts.operation=get_contact error.type=invalid_key"},
		{"an invalid contact", func() { h.CreateContact(ctx, h.key, contacts.CreateContactInput{}) }, nil,
			"create contact", codes.Unset, account + " contacts.items=1 contacts.operation=create_contact error.type=missing_first_name"},
		{"a fault", func() { h.CreateContact(ctx, h.key, ada()) }, errors.New("disk 7 is on fire"),
			"create contact", codes.Error, account + " contacts.items=1 contacts.operation=create_contact error.type=server_error"},
		{"an unknown outcome", func() {
			h.CreateContacts(ctx, h.key, contacts.CreateContactsInput{Contacts: []contacts.CreateContactInput{ada()}})
		}, fmt.Errorf("the line is cut: %w", contacts.ErrOutcomeUnknown),
			"create contacts", codes.Error, account + " contacts.failed=1 contacts.items=1 contacts.operation=create_contacts"},
		{"a done context", func() { h.CreateContact(cancelled, h.key, ada()) }, nil,
			"create contact", codes.Unset, "contacts.items=1 contacts.operation=create_contact error.type=canceled"},
	} {
		store.err = c.err
		c.call()
		spans := s.take()
		if len(spans) != 1 {
			t.Errorf("%s: %d spans, want 1", c.what, len(spans))
			continue
		}
		want := seen{c.name, c.status.String(), c.attributes, trace.SpanKindInternal}
		if d := cmp.Diff(want, see(spans[0])); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, d)
		}
		if scope := spans[0].InstrumentationScope; scope.Name != "example.com/contacts/contactsotel" {
			t.Errorf("%s: the scope is %q", c.what, scope.Name)
		}
	}
}

// database is the attribute that a host gives to its stores.
func database() []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("db.namespace", "main")}
}

func spanOfOneCall(t *testing.T) {
	s := newSink(t, nil, contactsotel.Options{Attributes: database()})
	h := newHost(t, openSQLite(t, s), &contacts.Options{Observer: s})
	for _, c := range []struct {
		contacts   int
		name       string
		attributes string
	}{
		{1, "apply contacts", "db.namespace=main db.operation.name=apply db.system.name=sqlite"},
		{3, "BATCH apply contacts", "db.namespace=main db.operation.batch.size=3 db.operation.name=BATCH apply db.system.name=sqlite"},
	} {
		if _, err := h.CreateContacts(t.Context(), h.key, contacts.CreateContactsInput{Contacts: slices.Repeat([]contacts.CreateContactInput{ada()}, c.contacts)}); err != nil {
			t.Fatal(err)
		}
		spans := s.take()
		if len(spans) != 2 {
			t.Fatalf("%d spans, want one of the call and one of the transaction", len(spans))
		}
		child, parent := spans[0], spans[1]
		if d := cmp.Diff(seen{c.name, "Unset", c.attributes, trace.SpanKindClient}, see(child)); d != "" {
			t.Errorf("the transaction (-want +got):\n%s", d)
		}
		if child.Parent.SpanID() != parent.SpanContext.SpanID() || len(child.Links) != 0 {
			t.Errorf("the parent of the transaction is %v, want the call", child.Parent)
		}
	}
}

// A holder is an observer that holds the first transaction that begins.
type holder struct {
	*sink
	once  sync.Once
	begun chan struct{}
	held  chan struct{}
}

func (h *holder) BeginTransaction(calls []context.Context, t contacts.StoreTransaction) func(contacts.StoreTransactionOutcome) {
	h.once.Do(func() {
		close(h.begun)
		<-h.held
	})
	return h.sink.BeginTransaction(calls, t)
}

func spanOfEightCalls(t *testing.T) {
	s := newSink(t, nil, contactsotel.Options{})
	hold := &holder{sink: s, begun: make(chan struct{}), held: make(chan struct{})}
	store := openSQLite(t, hold)
	h := newHost(t, store, &contacts.Options{Observer: s})
	var callers sync.WaitGroup
	create := func() {
		callers.Go(func() {
			if _, err := h.CreateContact(t.Context(), h.key, ada()); err != nil {
				t.Error(err)
			}
		})
	}
	create()
	<-hold.begun
	for i := range 8 {
		create()
		for store.Stats().Waiting <= i {
			runtime.Gosched()
		}
	}
	close(hold.held)
	callers.Wait()

	var calls []trace.SpanID
	var shared []tracetest.SpanStub
	for _, span := range s.take() {
		switch {
		case span.Name == "create contact":
			calls = append(calls, span.SpanContext.SpanID())
		case len(span.Links) > 0:
			shared = append(shared, span)
		}
	}
	if len(calls) != 9 || len(shared) != 1 {
		t.Fatalf("%d calls and %d transactions with links, want 9 and 1", len(calls), len(shared))
	}
	want := seen{"BATCH apply contacts", "Unset", "db.operation.batch.size=8 db.operation.name=BATCH apply db.system.name=sqlite", trace.SpanKindClient}
	if d := cmp.Diff(want, see(shared[0])); d != "" {
		t.Errorf("the transaction (-want +got):\n%s", d)
	}
	if shared[0].Parent.IsValid() || len(shared[0].Links) != 8 {
		t.Errorf("the transaction has the parent %v and %d links, want none and 8", shared[0].Parent, len(shared[0].Links))
	}
	linked := make(map[trace.SpanID]bool)
	for _, link := range shared[0].Links {
		linked[link.SpanContext.SpanID()] = slices.Contains(calls, link.SpanContext.SpanID())
	}
	if n := len(linked); n != 8 {
		t.Errorf("the links lead to %d spans, want 8", n)
	}
	for id, ofCall := range linked {
		if !ofCall {
			t.Errorf("a link leads to %v, which is no call", id)
		}
	}
}

func spanOfAFailure(t *testing.T) {
	s := newSink(t, nil, contactsotel.Options{})
	call, end := s.Begin(t.Context(), contacts.Call{Operation: contacts.OpCreateContact, Items: 1})
	for _, c := range []struct {
		err    error
		status string
		want   string
	}{
		{errors.New("disk 7 is on fire"), "Error", "server_error"},
		{fmt.Errorf("waiting: %w", context.Canceled), "Unset", "canceled"},
	} {
		s.BeginTransaction([]context.Context{call}, contacts.StoreTransaction{System: "postgresql", Mutations: 1})(contacts.StoreTransactionOutcome{Err: c.err})
		want := seen{"apply contacts", c.status, "db.operation.name=apply db.system.name=postgresql error.type=" + c.want, trace.SpanKindClient}
		if d := cmp.Diff(want, see(s.take()[0])); d != "" {
			t.Errorf("%v (-want +got):\n%s", c.err, d)
		}
	}
	end(contacts.Outcome{})
}

func nothingIsSampled(t *testing.T) {
	s := newSink(t, sdktrace.NeverSample(), contactsotel.Options{})
	h := newHost(t, openSQLite(t, s), &contacts.Options{Observer: s})
	if _, err := h.CreateContact(t.Context(), h.key, ada()); err != nil {
		t.Fatal(err)
	}
	if spans := s.take(); len(spans) != 0 {
		t.Errorf("there are spans: %v", spans)
	}
	for _, one := range s.series(t) {
		if one.metric == "db.client.operation.duration" && one.value == 1 {
			return
		}
	}
	t.Error("the transaction is not in the metrics")
}

func moreCallsThanLinks(t *testing.T) {
	s := newSink(t, nil, contactsotel.Options{})
	never := newSink(t, sdktrace.NeverSample(), contactsotel.Options{})
	var calls []context.Context
	sampled := make(map[trace.SpanID]bool)
	for i := range 200 {
		from := never
		if i >= 150 {
			from = s
		}
		ctx, _ := from.Begin(t.Context(), contacts.Call{})
		calls = append(calls, ctx)
		if i >= 150 {
			sampled[trace.SpanContextFromContext(ctx).SpanID()] = true
		}
	}
	s.BeginTransaction(calls, contacts.StoreTransaction{System: "sqlite", Mutations: 200})(contacts.StoreTransactionOutcome{})
	span := s.take()[0]
	if len(span.Links) != 128 {
		t.Errorf("%d links, want 128", len(span.Links))
	}
	for _, link := range span.Links {
		delete(sampled, link.SpanContext.SpanID())
	}
	if len(sampled) > 0 {
		t.Errorf("%d sampled calls have no link", len(sampled))
	}
}
