package contactsotel_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.com/contacts"
	"example.com/contacts/contactsotel"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/sqlite"
)

// A sink is an Instrumentation and what it has reported.
type sink struct {
	*contactsotel.Instrumentation
	spans  *tracetest.InMemoryExporter
	reader *sdkmetric.ManualReader
}

// newSink returns a sink that samples by the sampler, nil for everything.
func newSink(t testing.TB, sampler sdktrace.Sampler, opts contactsotel.Options) *sink {
	t.Helper()
	s := &sink{spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	if sampler == nil {
		sampler = sdktrace.AlwaysSample()
	}
	opts.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSyncer(s.spans), sdktrace.WithSampler(sampler))
	opts.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	var err error
	if s.Instrumentation, err = contactsotel.New(&opts); err != nil {
		t.Fatal(err)
	}
	return s
}

// take returns the spans that have ended since the last take.
func (s *sink) take() tracetest.SpanStubs {
	defer s.spans.Reset()
	return s.spans.GetSpans()
}

// A series is one series of a metric.
type series struct {
	metric string
	unit   string
	attrs  attribute.Set
	value  float64 // of a histogram: how many values
}

// series collects all metrics.
func (s *sink) series(t testing.TB) (all []series) {
	t.Helper()
	var collected metricdata.ResourceMetrics
	if err := s.reader.Collect(t.Context(), &collected); err != nil {
		t.Fatal(err)
	}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			add := func(attrs attribute.Set, value float64) { all = append(all, series{m.Name, m.Unit, attrs, value}) }
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, float64(p.Value))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, float64(p.Count))
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, float64(p.Count))
				}
			default:
				t.Errorf("%s is a %T", m.Name, m.Data)
			}
		}
	}
	return all
}

// text returns a set of attributes as a=b, in the order of their names.
func text(attrs []attribute.KeyValue) string {
	set := attribute.NewSet(attrs...)
	var b strings.Builder
	for _, a := range set.ToSlice() {
		b.WriteString(string(a.Key) + "=" + a.Value.String() + " ")
	}
	return strings.TrimSpace(b.String())
}

// A host is a Service with an account and a key that may do everything.
type host struct {
	*contacts.Service
	account *contacts.Account
	key     string
}

func newHost(t testing.TB, store contacts.Store, opts *contacts.Options) *host {
	t.Helper()
	account, key := newAccount(t, store)
	svc, err := contacts.New(store, opts)
	if err != nil {
		t.Fatal(err)
	}
	return &host{svc, account, key}
}

func newAccount(t testing.TB, store contacts.Store) (account *contacts.Account, key string) {
	t.Helper()
	admin := contacts.NewAdmin(store, nil)
	account, err := admin.CreateAccount(t.Context(), "Acme")
	if err != nil {
		t.Fatal(err)
	}
	key, _, err = admin.IssueKey(t.Context(), contacts.IssueKeyInput{
		AccountID: account.ID, AllTeams: true, Permissions: []contacts.Permission{
			contacts.PermissionReadContacts, contacts.PermissionWriteContacts, contacts.PermissionReadEvents, contacts.PermissionManageDoNotCall,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return account, key
}

func openMemory(t testing.TB) contacts.Store {
	store := memory.New()
	t.Cleanup(func() { store.Close() })
	return store
}

func openSQLite(t testing.TB, o contacts.StoreObserver) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "contacts.db"), &sqlite.Options{Observer: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func ada() contacts.CreateContactInput { return contacts.CreateContactInput{FirstName: "Ada"} }

// A brokenStore fails each write.
type brokenStore struct {
	contacts.Store
	err error
}

func (s *brokenStore) Apply(ctx context.Context, b contacts.MutationBatch) ([]contacts.MutationOutcome, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.Store.Apply(ctx, b)
}
