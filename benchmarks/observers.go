package main

import (
	"context"
	"errors"
	"runtime"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"example.com/contacts"
	"example.com/contacts/contactsotel"
	"example.com/contacts/store/memory"
	"example.com/contacts/store/sqlite"
)

// noOp are the options of an observer whose program has OpenTelemetry, and switched
// it off.
func noOp() *contactsotel.Options {
	return &contactsotel.Options{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider()}
}

// sampling are the options of an observer with the SDK, which samples that part of
// the spans. The spans go nowhere.
func sampling(part float64) *contactsotel.Options {
	return &contactsotel.Options{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()), sdktrace.WithSampler(sdktrace.TraceIDRatioBased(part))),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
	}
}

// observers compares creates that are observed with those that are not.
func (b *bench) observers(ctx context.Context) error {
	n := b.size(50_000, 5_000)
	for _, row := range []struct {
		figure  *figure
		options func() *contactsotel.Options
		rate    func(context.Context, *contactsotel.Instrumentation, []*contact) (float64, error)
	}{
		{b.figure("observer-no-op"), noOp, b.observedInMemory},
		{b.figure("observer-unsampled"), func() *contactsotel.Options { return sampling(0) }, b.observedInMemory},
		{b.figure("observer-sampled-64"), func() *contactsotel.Options { return sampling(0.01) }, b.observedBy64},
	} {
		if row.figure == nil {
			continue
		}
		for range b.reps {
			all := b.world.contacts(n)
			opts := row.options()
			observer, err := contactsotel.New(opts)
			if err != nil {
				return err
			}
			observed, errObserved := row.rate(ctx, observer, all)
			if sdk, ok := opts.TracerProvider.(*sdktrace.TracerProvider); ok {
				errObserved = errors.Join(errObserved, sdk.Shutdown(ctx))
			}
			alone, errAlone := row.rate(ctx, nil, all)
			if err := errors.Join(errObserved, errAlone); err != nil {
				return err
			}
			row.figure.add(observed, alone)
		}
	}
	return nil
}

// serviceOptions are the options of a Service with the observer; nil: none.
func serviceOptions(observer *contactsotel.Instrumentation) *contacts.Options {
	if observer == nil {
		return nil
	}
	return &contacts.Options{Observer: observer}
}

// observedInMemory creates contacts in a memory store, one after the other.
func (b *bench) observedInMemory(ctx context.Context, observer *contactsotel.Instrumentation, all []*contact) (float64, error) {
	store := memory.New()
	defer store.Close()
	if _, err := store.AddToDirectory(ctx, b.world.directory); err != nil {
		return 0, err
	}
	svc, err := contacts.New(store, serviceOptions(observer))
	if err != nil {
		return 0, err
	}
	runtime.GC()
	start := time.Now()
	for _, c := range all {
		if _, err := svc.CreateContact(ctx, c.key, c.input); err != nil {
			return 0, err
		}
	}
	return float64(len(all)) / time.Since(start).Seconds(), nil
}

// observedBy64 creates contacts in a file, by 64 callers.
func (b *bench) observedBy64(ctx context.Context, observer *contactsotel.Instrumentation, all []*contact) (float64, error) {
	p := ours
	p.open = func(ctx context.Context, dir string, w *world) (target, error) {
		var opts sqlite.Options
		if observer != nil {
			opts.Observer = observer
		}
		return openOursWith(ctx, dir, w, &opts, serviceOptions(observer))
	}
	return inFolder(b.dir, func(dir string) (float64, error) { return b.write(ctx, p, dir, all, 64, new(cost)) })
}
