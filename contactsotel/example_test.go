package contactsotel_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"example.com/contacts"
	"example.com/contacts/contactsotel"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/sqlite"
)

// A program gives its providers to New, and the Instrumentation to the store and to
// the Service. Here the spans stay in memory.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "contacts")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	spans := tracetest.NewInMemoryExporter()

	otel, err := contactsotel.New(&contactsotel.Options{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)),
		Attributes:     []attribute.KeyValue{attribute.String("db.namespace", "contacts.db")},
	})
	if err != nil {
		log.Fatal(err)
	}
	store, err := sqlite.Open(ctx, filepath.Join(dir, "contacts.db"), &sqlite.Options{Observer: otel})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	svc, err := contacts.New(store, &contacts.Options{Observer: otel})
	if err != nil {
		log.Fatal(err)
	}

	if _, err := svc.CreateContact(ctx, issueKey(ctx, store), contacts.CreateContactInput{FirstName: "John"}); err != nil {
		log.Fatal(err)
	}
	for _, span := range spans.GetSpans() {
		fmt.Println(span.SpanKind, span.Name)
	}
	// Output:
	// client apply contacts
	// internal create contact
}

// issueKey makes an account and issues a key that may read and create contacts.
func issueKey(ctx context.Context, store contacts.Store) (key string) {
	admin := contacts.NewAdmin(store, nil)
	acme, err := admin.CreateAccount(ctx, "Acme Corp")
	if err != nil {
		log.Fatal(err)
	}
	key, _, err = admin.IssueKey(ctx, contacts.IssueKeyInput{
		AccountID: acme.ID, Permissions: []contacts.Permission{contacts.PermissionReadContacts}, AllTeams: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	return key
}

// A traced adds the trace_id of the context to each line.
type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traced) WithAttrs(a []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(a)} }

func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }

// The log line of a server error has the trace of its call. The handler is twelve
// lines of the program.
func Example_traceID() {
	ctx := context.Background()
	otel, err := contactsotel.New(&contactsotel.Options{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithIDGenerator(sameID{})), // real programs leave the generator out
	})
	if err != nil {
		log.Fatal(err)
	}
	lines := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	store := &brokenStore{Store: memory.New()}
	svc, err := contacts.New(store, &contacts.Options{Observer: otel, Logger: slog.New(traced{lines})})
	if err != nil {
		log.Fatal(err)
	}
	key := issueKey(ctx, store)
	store.err = errors.New("disk 7 is on fire")
	_, err = svc.CreateContact(ctx, key, contacts.CreateContactInput{FirstName: "John"})
	fmt.Println(err)
	// Output:
	// level=ERROR msg="contacts: server error" operation=create_contact cause="disk 7 is on fire" trace_id=0102030405060708090a0b0c0d0e0f10
	// contacts: server_error: an unexpected server error
}

// sameID gives every span the same ids.
type sameID struct{}

func (sameID) NewIDs(context.Context) (trace.TraceID, trace.SpanID) {
	return trace.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, trace.SpanID{1}
}

func (sameID) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return trace.SpanID{2} }

// Watch reports the counters of a store until stop is called.
func ExampleInstrumentation_Watch() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "contacts")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, filepath.Join(dir, "contacts.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	otel, err := contactsotel.New(nil) // the global providers
	if err != nil {
		log.Fatal(err)
	}
	stop, err := otel.Watch(store)
	if err != nil {
		log.Fatal(err)
	}
	_, err = otel.Watch(store)
	fmt.Println(err)
	fmt.Println(stop())
	// Output:
	// contactsotel: a store of the system "sqlite" is watched already: stop that first, or make another Instrumentation, whose Options.Attributes tell the two stores apart
	// <nil>
}
