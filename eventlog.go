package contacts

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// maxEventSource is how many characters the source of an event may have.
const maxEventSource = 100

// WithEventSource says where changes come from, such as "import:customers": every
// event of a contact that is recorded with the context has this [Event.Source].
// Text is cut to 100 characters, and control characters are dropped. It may name
// no person: it is kept until the event ends. "": none.
func WithEventSource(ctx context.Context, source string) context.Context {
	source = strings.TrimSpace(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(source, string(utf8.RuneError))))
	if utf8.RuneCountInString(source) > maxEventSource {
		source = string([]rune(source)[:maxEventSource])
	}
	return context.WithValue(ctx, eventSourceKey{}, source)
}

// eventSourceKey is the key of the source in a context.
type eventSourceKey struct{}

func eventSource(ctx context.Context) string {
	source, _ := ctx.Value(eventSourceKey{}).(string)
	return source
}

// recordEvents gives each mutation the event of its change, if the account has
// events on.
func (c *call) recordEvents(ctx context.Context, w write) error {
	settings, err := setting(&c.known.events, c.account, settingEvents, parseEventSettings)
	if err != nil || !settings.On {
		return err
	}
	changes := 0
	for i := range w.Mutations {
		changes += len(w.Mutations[i].Contacts)
	}
	if (c.many || changes > 1) && c.batch == uuid.Nil {
		if c.batch, err = c.ids.next(w.Now); err != nil {
			return err
		}
	}
	log := eventLog{keep: settings.Keep, origin: eventOrigin{c.principal.actor(), c.batch, eventSource(ctx)}}
	if c.batch == uuid.Nil { // else no other call has the same origin
		log.known = &c.known.created
	}
	entries := make([]JournalEntry, 0, changes)
	for i := range w.Mutations {
		m := &w.Mutations[i]
		if len(m.Contacts) == 0 {
			continue
		}
		stored := w.before(i)
		if stored != nil && stored.Contact.Version == m.Contacts[0].Record.Contact.Version {
			continue // a number is blocked, and the contact stays as it is
		}
		event, err := log.change(stored, m.Contacts[0].Record)
		if err != nil {
			return err
		}
		entries = append(entries, event)
		m.Journal = entries[len(entries)-1 : len(entries) : len(entries)]
	}
	return nil
}

// An eventLog makes the events of changes that are made together.
type eventLog struct {
	keep   time.Duration
	origin eventOrigin

	created string                     // the data of every event of a new contact; "": not made yet
	known   *memo[eventOrigin, string] // the same, by what other calls have made; nil: none has this origin
}

// change returns the event of a contact that was stored before, or not, and is
// stored from then on.
func (l *eventLog) change(before, after *ContactRecord) (JournalEntry, error) {
	if before == nil {
		return l.create(after)
	}
	d := eventData{Type: EventContactUpdated, Version: after.Contact.Version, Previous: before.Contact.UpdatedAt, eventOrigin: l.origin}
	switch was, is := before.Contact.DeletedAt.IsZero(), after.Contact.DeletedAt.IsZero(); {
	case was && !is:
		d.Type = EventContactDeleted
	case !was && is:
		d.Type = EventContactRestored
	}
	was, is := before.Contact, after.Contact
	was.CustomContext, was.IndustryContext, is.CustomContext, is.IndustryContext = nil, nil, nil, nil
	was.PhoneNumbers, is.PhoneNumbers = withoutMarks(was.PhoneNumbers), withoutMarks(is.PhoneNumbers)
	for _, context := range []struct {
		name          string
		before, after string
		was, is       *map[string]any
	}{
		{"custom_context", before.CustomContext, after.CustomContext, &was.CustomContext, &is.CustomContext},
		{"industry_context", before.IndustryContext, after.IndustryContext, &was.IndustryContext, &is.IndustryContext},
	} {
		if context.before == context.after {
			continue
		}
		var err error
		if *context.was, err = loadFreeform(context.name, context.before); err != nil {
			d.Previous = time.Time{} // it is damaged, so no event can bring it back
		}
		if *context.is, err = loadFreeform(context.name, context.after); err != nil {
			return JournalEntry{}, err
		}
	}
	var err error
	if d.Changes, err = encodeChanges(&was, &is); err != nil {
		return JournalEntry{}, err
	}
	return l.entry(after.Contact.ID, after.Contact.UpdatedAt, &d)
}

// create returns the event of a new contact.
func (l *eventLog) create(record *ContactRecord) (JournalEntry, error) {
	var err error
	switch {
	case l.created != "":
	case l.known != nil:
		l.created, err = l.known.read(l.origin, eventOrigin.created)
	default:
		l.created, err = l.origin.created()
	}
	if err != nil {
		return JournalEntry{}, err
	}
	return l.journal(record.Contact.ID, record.Contact.UpdatedAt, l.created), nil
}

// created returns the data of every event of a new contact with that origin.
func (o eventOrigin) created() (string, error) {
	d := eventData{Type: EventContactCreated, Version: 1, eventOrigin: o}
	return d.encode()
}

// remove returns the event of a contact that is removed for good.
func (l *eventLog) remove(how EventType, id uuid.UUID, at time.Time) (JournalEntry, error) {
	return l.entry(id, at, &eventData{Type: how, eventOrigin: l.origin})
}

func (l *eventLog) entry(id uuid.UUID, at time.Time, d *eventData) (JournalEntry, error) {
	data, err := d.encode()
	return l.journal(id, at, data), err
}

func (l *eventLog) journal(id uuid.UUID, at time.Time, data string) JournalEntry {
	return JournalEntry{Kind: JournalEvent, Subject: contactSubject(id), At: at, EndsAt: endOf(at, l.keep), Data: data}
}

// eventLog returns the log of so many changes that the host makes together. nil:
// the account has events off.
func (a *Admin) eventLog(ctx context.Context, account *AccountRecord, changes int, now time.Time) (*eventLog, error) {
	settings, err := account.eventSettings()
	if err != nil {
		return nil, newServerError(err)
	}
	if !settings.On {
		return nil, nil
	}
	log := &eventLog{keep: settings.Keep, origin: eventOrigin{Source: eventSource(ctx)}}
	if log.origin.Actor, err = a.who(); err != nil {
		return nil, err
	}
	if changes > 1 {
		if log.origin.Batch, err = a.ids.next(now); err != nil {
			return nil, newServerError(err)
		}
	}
	return log, nil
}
