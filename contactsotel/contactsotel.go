// Package contactsotel measures and traces package contacts with OpenTelemetry. It
// is a module of its own, so that a program that does not use it does not depend on
// OpenTelemetry:
//
//	otel, err := contactsotel.New(nil)
//	store, err := sqlite.Open(ctx, "contacts.db", &sqlite.Options{Observer: otel})
//	stop, err := otel.Watch(store)
//	svc, err := contacts.New(store, &contacts.Options{Observer: otel})
//
// It uses the API of OpenTelemetry. The program sets up the SDK: what is sampled,
// and where spans and metrics go.
//
// # Spans
//
// Each call of a Service is a span of kind INTERNAL, named after its operation:
// "create contact". Its attributes are contacts.operation, contacts.items,
// contacts.dry_run, contacts.tries, error.type, and how many items have which
// result, such as contacts.created. Its status is Error only for a server error:
// a refused contact is an answer.
//
// Each transaction of a store is a span of kind CLIENT, named "apply contacts", or
// "BATCH apply contacts" if it holds more than one mutation. It is a child of the
// call whose writes it holds. If calls share it, it is a root span with a link to
// each of them, and the sampler decides about it anew. There is no span of a
// transaction of which no call is sampled. The memory store has no transactions.
//
// # Metrics
//
//   - contacts.operation.duration: seconds, by contacts.operation and error.type
//   - contacts.items: by contacts.operation and contacts.result
//   - contacts.do_not_call.checks: by contacts.verdict, which is allowed, do_not_call or
//     error
//   - db.client.operation.duration: seconds, of transactions
//   - contacts.store.transaction.size: mutations
//   - contacts.store.wait.duration: seconds that the first write of a transaction waited
//     until it began
//
// [Instrumentation.Watch] adds the counters of a store.
//
// Nothing here holds anything of a contact, a phone number or an API key. The
// attributes of metrics name no account. So their number stays small, whatever
// callers send.
//
// # Logs
//
// The log lines of a Service are written with the context of the call, which holds
// its span. A [log/slog.Handler] of a few lines adds the trace_id; see the example of
// the package.
package contactsotel

import (
	"errors"
	"runtime/debug"
	"slices"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"
	"go.opentelemetry.io/otel/trace"

	"example.com/contacts"
)

var (
	_ contacts.Observer      = (*Instrumentation)(nil)
	_ contacts.StoreObserver = (*Instrumentation)(nil)
)

// scope is the name of the instrumentation scope, and of this module.
const scope = "example.com/contacts/contactsotel"

// Options are the options of [New]. The zero value, and nil, are the defaults.
type Options struct {
	// TracerProvider gets the spans. nil: the global one.
	TracerProvider trace.TracerProvider

	// MeterProvider gets the metrics. nil: the global one.
	MeterProvider metric.MeterProvider

	// Accounts puts the id of the account on the span of a call, as
	// contacts.account.id. False: no attribute names an account.
	Accounts bool

	// Attributes are on every span and every metric of stores. They name the
	// database, such as db.namespace and server.address. Give each store of a
	// system an Instrumentation of its own, and Attributes that tell it from the
	// others. nil: none.
	Attributes []attribute.KeyValue
}

// An Instrumentation makes spans and metrics of the calls of Services and of the
// transactions of stores. Set it as their Observer. [New] makes it; the zero value
// cannot be used. It is safe for concurrent use.
type Instrumentation struct {
	tracer     trace.Tracer
	meter      metric.Meter
	accounts   bool
	attributes []attribute.KeyValue // of stores

	calls        callMetrics
	transactions transactionMetrics
	operations   memo[contacts.Operation, *operation]
	systems      memo[system, *systemOptions]

	mu       sync.Mutex
	watching map[string]bool // systems
}

// New returns an Instrumentation. Its error is that of the MeterProvider, which
// could not make an instrument.
func New(opts *Options) (*Instrumentation, error) {
	if opts == nil {
		opts = &Options{}
	}
	tracers, meters := opts.TracerProvider, opts.MeterProvider
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	i := &Instrumentation{
		tracer:     tracers.Tracer(scope, trace.WithInstrumentationVersion(version()), trace.WithSchemaURL(semconv.SchemaURL)),
		meter:      meters.Meter(scope, metric.WithInstrumentationVersion(version()), metric.WithSchemaURL(semconv.SchemaURL)),
		accounts:   opts.Accounts,
		attributes: slices.Clone(opts.Attributes),
		watching:   make(map[string]bool),
	}
	i.operations.make = newOperation
	i.systems.make = i.newSystemOptions
	return i, errors.Join(i.calls.open(i.meter), i.transactions.open(i.meter))
}

// version returns the version of this module in the program, "" if it is not
// known.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == scope {
			return m.Version
		}
	}
	return ""
}

// durations are the boundaries of the histograms of durations, in seconds. The
// conventions give them for db.client.operation.duration.
func durations() metric.HistogramOption {
	return metric.WithExplicitBucketBoundaries(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
}

// callMetrics are the instruments of calls.
type callMetrics struct {
	duration metric.Float64Histogram
	items    metric.Int64Counter
	checks   metric.Int64Counter
}

func (m *callMetrics) open(meter metric.Meter) error {
	var errs [3]error
	m.duration, errs[0] = meter.Float64Histogram("contacts.operation.duration",
		metric.WithDescription("Duration of the calls of a Service."), metric.WithUnit("s"), durations())
	m.items, errs[1] = meter.Int64Counter("contacts.items",
		metric.WithDescription("Items that were written, refused or returned, also by dry runs."), metric.WithUnit("{item}"))
	m.checks, errs[2] = meter.Int64Counter("contacts.do_not_call.checks",
		metric.WithDescription("Numbers that were looked up in the do-not-call list."), metric.WithUnit("{check}"))
	return errors.Join(errs[:]...)
}

// transactionMetrics are the instruments of transactions.
type transactionMetrics struct {
	duration dbconv.ClientOperationDuration
	size     metric.Int64Histogram
	wait     metric.Float64Histogram
}

func (m *transactionMetrics) open(meter metric.Meter) error {
	var errs [3]error
	m.duration, errs[0] = dbconv.NewClientOperationDuration(meter, durations())
	m.size, errs[1] = meter.Int64Histogram("contacts.store.transaction.size",
		metric.WithDescription("Mutations in a transaction."), metric.WithUnit("{mutation}"),
		metric.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024))
	m.wait, errs[2] = meter.Float64Histogram("contacts.store.wait.duration",
		metric.WithDescription("How long the first write of a transaction waited until it began."), metric.WithUnit("s"), durations())
	return errors.Join(errs[:]...)
}
