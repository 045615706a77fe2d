package contactsotel

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"example.com/contacts"
)

// The values of db.operation.name. The conventions have the prefix for batches.
const (
	apply      = "apply"
	applyBatch = "BATCH apply"
)

// maxLinks is how many links a span has at most, as in the SDK.
const maxLinks = 128

// A system is a kind of transactions.
type system struct {
	name  string // db.system.name
	batch bool   // of more than one mutation
}

// systemOptions are what all transactions of a system have in common, made once.
type systemOptions struct {
	span     string
	start    []trace.SpanStartOption
	duration memo[string, []metric.RecordOption] // by error.type
	record   []metric.RecordOption
}

func (i *Instrumentation) newSystemOptions(s system) *systemOptions {
	name := apply
	if s.batch {
		name = applyBatch
	}
	ofSystem := i.ofSystem(s.name)
	ofOperation := append(slices.Clone(ofSystem), semconv.DBOperationName(name))
	o := &systemOptions{
		span:   name + " contacts",
		start:  []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(ofOperation...)},
		record: []metric.RecordOption{metric.WithAttributes(ofSystem...)},
	}
	o.duration.make = func(errorType string) []metric.RecordOption {
		return []metric.RecordOption{metric.WithAttributeSet(withErrorType(errorType, slices.Clone(ofOperation)...))}
	}
	return o
}

// ofSystem returns the attributes of every metric of a store.
func (i *Instrumentation) ofSystem(name string) []attribute.KeyValue {
	return append(slices.Clone(i.attributes), semconv.DBSystemNameKey.String(name))
}

// BeginTransaction implements [contacts.StoreObserver].
func (i *Instrumentation) BeginTransaction(calls []context.Context, t contacts.StoreTransaction) func(contacts.StoreTransactionOutcome) {
	began := time.Now()
	options := i.systems.of(system{t.System, t.Mutations > 1})
	ctx, span := i.startTransaction(calls, options)
	if t.Mutations > 1 && span.IsRecording() {
		span.SetAttributes(semconv.DBOperationBatchSize(t.Mutations))
	}
	i.transactions.wait.Record(ctx, t.Waited.Seconds(), options.record...)
	i.transactions.size.Record(ctx, int64(t.Mutations), options.record...)
	return func(o contacts.StoreTransactionOutcome) {
		canceled := errors.Is(o.Err, context.Canceled) || errors.Is(o.Err, context.DeadlineExceeded)
		failure := errorType(contacts.CodeOf(o.Err), canceled)
		i.transactions.duration.Inst().Record(ctx, time.Since(began).Seconds(), options.duration.of(failure)...)
		if failure != "" && span.IsRecording() {
			span.SetAttributes(semconv.ErrorTypeKey.String(failure))
			if !canceled {
				span.SetStatus(codes.Error, "")
			}
		}
		span.End()
	}
}

// startTransaction starts the span of a transaction. One that no sampled call
// shares gets a span that records nothing.
func (i *Instrumentation) startTransaction(calls []context.Context, options *systemOptions) (context.Context, trace.Span) {
	sampled := func(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsSampled() }
	if !slices.ContainsFunc(calls, sampled) {
		return context.Background(), trace.SpanFromContext(context.Background())
	}
	if len(calls) == 1 {
		return i.tracer.Start(calls[0], options.span, options.start...)
	}
	links := make([]trace.Link, 0, min(len(calls), maxLinks))
	for _, wanted := range []bool{true, false} { // the sampled ones first: others lead nowhere
		for _, ctx := range calls {
			link := trace.LinkFromContext(ctx)
			if sampled(ctx) == wanted && link.SpanContext.IsValid() && len(links) < maxLinks {
				links = append(links, link)
			}
		}
	}
	return i.tracer.Start(context.Background(), options.span, append(slices.Clone(options.start), trace.WithLinks(links...))...)
}
