package contactsotel

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"example.com/contacts"
)

// The attributes of calls.
const (
	operationKey = attribute.Key("contacts.operation")
	itemsKey     = attribute.Key("contacts.items")
	dryRunKey    = attribute.Key("contacts.dry_run")
	triesKey     = attribute.Key("contacts.tries")
	accountKey   = attribute.Key("contacts.account.id")
	resultKey    = attribute.Key("contacts.result")
	verdictKey   = attribute.Key("contacts.verdict")
)

// The values of contacts.verdict.
const (
	allowed   = "allowed"
	doNotCall = "do_not_call"
	failed    = "error"
)

// errorCanceled is the error.type of a call or a transaction whose context was
// done.
const errorCanceled = "canceled"

// results are the values of contacts.result. Each is also the name of an attribute
// of spans, after "contacts.".
var results = [...]string{"created", "existing", "updated", "unchanged", "restored", "deleted", "replayed", "failed", "returned"}

// counts returns how many items have each of the results.
func counts(o *contacts.Outcome) [len(results)]int {
	return [...]int{o.Created, o.Existing, o.Updated, o.Unchanged, o.Restored, o.Deleted, o.Replayed, o.Failed, o.Returned}
}

// An operation is what all calls of an operation have in common, made once.
type operation struct {
	span     string
	start    []trace.SpanStartOption
	duration memo[string, []metric.RecordOption] // by error.type
	items    [len(results)][]metric.AddOption
	checks   bool // it looks numbers up in the do-not-call list
}

func newOperation(name contacts.Operation) *operation {
	attr := operationKey.String(string(name))
	op := &operation{
		span:   strings.ReplaceAll(string(name), "_", " "),
		start:  []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindInternal), trace.WithAttributes(attr)},
		checks: name == contacts.OpCanCall || name == contacts.OpCanCallMany,
	}
	op.duration.make = func(errorType string) []metric.RecordOption {
		return []metric.RecordOption{metric.WithAttributeSet(withErrorType(errorType, attr))}
	}
	for n, result := range results {
		op.items[n] = []metric.AddOption{metric.WithAttributes(attr, resultKey.String(result))}
	}
	return op
}

// withErrorType returns the attributes with error.type, unless that is "".
func withErrorType(errorType string, attrs ...attribute.KeyValue) attribute.Set {
	if errorType != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(errorType))
	}
	return attribute.NewSet(attrs...)
}

// errorType returns the error.type of a code. A code that an Authenticator of the
// host has made up could be anything, so it is the one that the conventions have
// for others.
func errorType(code contacts.Code, canceled bool) string {
	switch {
	case canceled:
		return errorCanceled
	case code.HTTPStatus() == 500 && code != contacts.CodeServerError && code != "":
		return semconv.ErrorTypeOther.Value.AsString()
	default:
		return string(code)
	}
}

// Begin implements [contacts.Observer].
func (i *Instrumentation) Begin(ctx context.Context, call contacts.Call) (context.Context, func(contacts.Outcome)) {
	op := i.operations.of(call.Operation)
	began := time.Now()
	ctx, span := i.tracer.Start(ctx, op.span, op.start...)
	return ctx, func(o contacts.Outcome) {
		failure := errorType(o.Code, o.Canceled)
		if i.calls.duration.Enabled(ctx) {
			i.calls.duration.Record(ctx, time.Since(began).Seconds(), op.duration.of(failure)...)
		}
		if i.calls.items.Enabled(ctx) {
			for n, count := range counts(&o) {
				if count > 0 {
					i.calls.items.Add(ctx, int64(count), op.items[n]...)
				}
			}
		}
		if op.checks {
			i.countChecks(ctx, call, &o)
		}
		if span.IsRecording() {
			span.SetAttributes(i.spanAttributes(call, &o, failure)...)
			if !o.Canceled && (o.Code == contacts.CodeServerError || o.OutcomeUnknown) {
				span.SetStatus(codes.Error, "")
			}
		}
		span.End()
	}
}

// spanAttributes returns the attributes of a call that has ended.
func (i *Instrumentation) spanAttributes(call contacts.Call, o *contacts.Outcome, failure string) (attrs []attribute.KeyValue) {
	if call.Items > 0 {
		attrs = append(attrs, itemsKey.Int(call.Items))
	}
	if call.DryRun {
		attrs = append(attrs, dryRunKey.Bool(true))
	}
	if o.Tries > 1 {
		attrs = append(attrs, triesKey.Int(o.Tries))
	}
	for n, count := range counts(o) {
		if count > 0 {
			attrs = append(attrs, attribute.Int("contacts."+results[n], count))
		}
	}
	if i.accounts && o.AccountID != [16]byte{} {
		attrs = append(attrs, accountKey.String(o.AccountID.String()))
	}
	if failure != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(failure))
	}
	return attrs
}

// countChecks counts the numbers that a call has looked up by what it said. A call
// with a body in JSON begins before its numbers are known. If it fails, it counts as
// one.
func (i *Instrumentation) countChecks(ctx context.Context, call contacts.Call, o *contacts.Outcome) {
	add := func(verdict string, n int) {
		if n > 0 {
			i.calls.checks.Add(ctx, int64(n), metric.WithAttributes(verdictKey.String(verdict)))
		}
	}
	if o.Code != "" && o.Listed == 0 { // not even by the list
		add(failed, max(call.Items, 1))
		return
	}
	add(doNotCall, o.Listed)
	add(failed, o.Failed)
	add(allowed, max(call.Items, o.Returned+o.Failed)-o.Failed-o.Listed)
}
