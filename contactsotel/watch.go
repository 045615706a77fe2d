package contactsotel

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"example.com/contacts"
)

// Watch reports the Stats of a store as metrics until stop is called:
// contacts.store.waiting and contacts.store.retries, and for SQLite
// contacts.store.lock.waits, contacts.store.unmerged and contacts.store.log.size.
// They are read when the MeterProvider collects. Stop may be called more than once.
//
// Two stores of one system would report one series, and so would one store that is
// watched twice. So the second Watch is an error until the first is stopped. For
// another store of the same system make another Instrumentation, with
// Options.Attributes that tell the two apart.
func (i *Instrumentation) Watch(s interface{ Stats() contacts.StoreStats }) (stop func() error, err error) {
	if s == nil {
		return nil, errors.New("contactsotel: the store to watch is nil: give a store with Stats, of package sqlite or postgres")
	}
	first := s.Stats()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.watching[first.System] {
		return nil, fmt.Errorf("contactsotel: a store of the system %q is watched already: stop that first, or make another Instrumentation, whose Options.Attributes tell the two stores apart", first.System)
	}
	registration, err := i.observe(s, first.System)
	if err != nil {
		return nil, fmt.Errorf("contactsotel: watch: %w", err)
	}
	i.watching[first.System] = true
	stopped := false
	return func() error {
		i.mu.Lock()
		defer i.mu.Unlock()
		if stopped {
			return nil
		}
		stopped = true
		delete(i.watching, first.System)
		return registration.Unregister()
	}, nil
}

// observe registers the instruments of a store.
func (i *Instrumentation) observe(s interface{ Stats() contacts.StoreStats }, system string) (metric.Registration, error) {
	var errs []error
	var instruments []metric.Observable
	keep := func(o metric.Int64Observable, err error) metric.Int64Observable {
		instruments, errs = append(instruments, o), append(errs, err)
		return o
	}
	gauge := func(name, unit, description string) metric.Int64Observable {
		o, err := i.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
		return keep(o, err)
	}
	counter := func(name, unit, description string) metric.Int64Observable {
		o, err := i.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		return keep(o, err)
	}
	waiting := gauge("contacts.store.waiting", "{mutation}", "Mutations that wait for their transaction.")
	retries := counter("contacts.store.retries", "{retry}", "Transactions that were made again.")
	var lockWaits, unmerged, logSize metric.Int64Observable
	ofFile := system == "sqlite"
	if ofFile {
		lockWaits = counter("contacts.store.lock.waits", "{wait}", "Transactions that waited for the lock of another process.")
		unmerged = gauge("contacts.store.unmerged", "{contact}", "Contacts that are not in the look-ups yet.")
		logSize = gauge("contacts.store.log.size", "By", "Size of the -wal file.")
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	attributes := metric.WithAttributes(i.ofSystem(system)...)
	return i.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		stats := s.Stats()
		o.ObserveInt64(waiting, int64(stats.Waiting), attributes)
		o.ObserveInt64(retries, stats.Retries, attributes)
		if ofFile {
			o.ObserveInt64(lockWaits, stats.LockWaits, attributes)
			o.ObserveInt64(unmerged, stats.UnmergedContacts, attributes)
			o.ObserveInt64(logSize, stats.LogBytes, attributes)
		}
		return nil
	}, instruments...)
}
