package contactsotel_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"example.com/contacts"
	"example.com/contacts/contactsotel"
)

// instrumentations are what the benchmarks compare. The first is nil.
func instrumentations(b *testing.B) (names []string, all []*contactsotel.Instrumentation) {
	sdk := func(sampled float64) *contactsotel.Options {
		return &contactsotel.Options{
			TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()), sdktrace.WithSampler(sdktrace.TraceIDRatioBased(sampled))),
			MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
		}
	}
	for _, c := range []struct {
		name string
		opts *contactsotel.Options
	}{
		{"none", nil},
		{"no-op", &contactsotel.Options{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider()}},
		{"nothing sampled", sdk(0)},
		{"1 in 100 sampled", sdk(0.01)},
		{"everything sampled", sdk(1)},
	} {
		names = append(names, c.name)
		if c.opts == nil {
			all = append(all, nil)
			continue
		}
		i, err := contactsotel.New(c.opts)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, i)
	}
	return names, all
}

// options returns options with the observer, if there is one.
func options(i *contactsotel.Instrumentation) *contacts.Options {
	if i == nil {
		return nil
	}
	return &contacts.Options{Observer: i}
}

// full is the contact of BenchmarkCreateContact of package contacts.
func full(n int64) contacts.CreateContactInput {
	return contacts.CreateContactInput{
		FirstName: "John", LastName: "Doe", Email: fmt.Sprintf("john.%d@example.com", n), Company: "Acme Inc", Website: "https://example.com",
		Address: "123 Main St", City: "Springfield", State: "IL", ZipCode: "62701", Country: "US", Status: "contacted", Stage: "customer",
		Tags: []string{"vip", "newsletter"},
		PhoneNumbers: []contacts.PhoneNumberInput{
			{PhoneNumber: fmt.Sprintf("+1%010d", 2_000_000_000+n), PhoneType: "mobile", Primary: true},
			{PhoneNumber: fmt.Sprintf("+49%010d", 3_000_000_000+n), PhoneType: "work"},
		},
		CustomContext: map[string]any{"source": "web", "score": n},
	}
}

// BenchmarkCreateInMemory measures what the observer adds to a create.
func BenchmarkCreateInMemory(b *testing.B) {
	names, all := instrumentations(b)
	for n, i := range all {
		b.Run(names[n], func(b *testing.B) {
			h := newHost(b, openMemory(b), options(i))
			b.ReportAllocs()
			for n := int64(0); b.Loop(); n++ {
				if _, err := h.CreateContact(b.Context(), h.key, full(n)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCreateBy64 measures creates of 64 callers in SQLite.
func BenchmarkCreateBy64(b *testing.B) {
	names, all := instrumentations(b)
	for n, i := range all {
		b.Run(names[n], func(b *testing.B) {
			var observer contacts.StoreObserver
			if i != nil {
				observer = i
			}
			h := newHost(b, openSQLite(b, observer), options(i))
			var callers sync.WaitGroup
			var next atomic.Int64
			b.ResetTimer()
			for range 64 {
				callers.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						if _, err := h.CreateContact(b.Context(), h.key, full(n)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			callers.Wait()
		})
	}
}
