package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"

	"example.com/contacts"
)

var updateFaults = []fault{
	{"keeps what is cleared", "updates/replaced whole", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		if c.Record.Contact.Email == "" {
			c.Record.Contact.Email = stored.Contact.Email
		}
	})},
	{"keeps the tags", "updates/replaced whole", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		c.Record.Contact.Tags = stored.Contact.Tags
	})},
	{"keeps the contexts", "updates/replaced whole", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		c.Record.CustomContext = stored.CustomContext
	})},
	{"counts versions by itself", "updates/replaced whole", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		c.Record.Contact.Version = stored.Contact.Version + 1
	})},
	{"returns empty slices that were changed", "updates/empty slices", func(p *process) {
		onChange(func(*contacts.ContactChange, *contacts.ContactRecord) {
			changeContacts(p, func(r *contacts.ContactRecord) {
				if r.Contact.Tags == nil {
					r.Contact.Tags = []string{}
				}
			})
		})(p)
	}},
	{"appends tags", "updates/lists replaced", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		for _, tag := range stored.Contact.Tags {
			if !slices.Contains(c.Record.Contact.Tags, tag) {
				c.Record.Contact.Tags = append(c.Record.Contact.Tags, tag)
			}
		}
	})},
	{"keeps the order of the numbers", "updates/lists replaced", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		place := func(p contacts.PhoneNumber) int {
			return slices.IndexFunc(stored.Contact.PhoneNumbers, func(old contacts.PhoneNumber) bool { return old.ID == p.ID })
		}
		slices.SortStableFunc(c.Record.Contact.PhoneNumbers, func(x, y contacts.PhoneNumber) int { return place(x) - place(y) })
	})},
	{"clears the tags of all", "updates/others untouched", func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			errs := p.data.UpdateContacts(ctx, changes)
			all, _ := allContacts(ctx, p, changes[0].Record.Contact.AccountID)
			for _, r := range all {
				if r.Contact.ID != changes[0].Record.Contact.ID {
					r.Contact.Tags = nil
					changeAnyway(ctx, p, r)
				}
			}
			return errs
		}
	}},
	{"changes nothing after a failure", "updates/each on its own", func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			for i := range changes {
				if errs := p.data.UpdateContacts(ctx, changes[i:i+1]); errs != nil {
					rest := slices.Repeat(errs, len(changes))
					clear(rest[:i])
					return rest
				}
			}
			return nil
		}
	}},
	{"returns only the errors of changes", "updates/one error for each", func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			return slices.DeleteFunc(p.data.UpdateContacts(ctx, changes), func(err error) bool { return err == nil })
		}
	}},
	{"returns a slice of nils for changes", "updates/one error for each", func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			if errs := p.data.UpdateContacts(ctx, changes); errs != nil {
				return errs
			}
			return make([]error, len(changes))
		}
	}},
	{"changes no more than a hundred at once", "updates/many at once", func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			return p.data.UpdateContacts(ctx, changes[:min(100, len(changes))])
		}
	}},
	{"finds no deleted contact to change", "updates/deleted ones too", onChanged(func(c contacts.ContactChange, stored *contacts.ContactRecord, err error) error {
		if stored != nil && !stored.Contact.DeletedAt.IsZero() {
			return contacts.ErrNotFound
		}
		return err
	})},
	{"ignores versions", "updates/conflict", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		c.Version = stored.Contact.Version
	})},
	{"takes a later version", "updates/conflict", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		if c.Version > stored.Contact.Version {
			c.Version = stored.Contact.Version
		}
	})},
	{"compares versions of 32 bits", "updates/conflict", onChange(func(c *contacts.ContactChange, stored *contacts.ContactRecord) {
		if uint32(c.Version) == uint32(stored.Contact.Version) {
			c.Version = stored.Contact.Version
		}
	})},
	{"says exists for a conflict", "updates/conflict", onChanged(func(_ contacts.ContactChange, _ *contacts.ContactRecord, err error) error {
		if errors.Is(err, contacts.ErrConflict) {
			return contacts.ErrExists
		}
		return err
	})},
	{"creates what it does not find", "updates/contact or team unknown", func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			errs := p.data.UpdateContacts(ctx, changes)
			for i, err := range errs {
				if errors.Is(err, contacts.ErrNotFound) && p.data.CreateContacts(ctx, contacts.ContactBatch{Records: []*contacts.ContactRecord{changes[i].Record}}) == nil {
					errs[i] = nil
				}
			}
			return errs
		}
	}},
	{"says conflict for an unknown team", "updates/contact or team unknown", func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			for _, c := range changes {
				if _, err := p.data.FindTeam(ctx, c.Record.Contact.AccountID, c.Record.Contact.TeamID); err != nil && c.Record.Contact.TeamID != 0 {
					return slices.Repeat([]error{contacts.ErrConflict}, len(changes))
				}
			}
			return p.data.UpdateContacts(ctx, changes)
		}
	}},
	{"lists by what a contact was", "updates/listed by what it is now", func(p *process) {
		var first sync.Map
		p.createContacts = func(ctx context.Context, batch contacts.ContactBatch) []contacts.ContactOutcome {
			for _, r := range batch.Records {
				first.Store(r.Contact.ID, r)
			}
			return p.data.CreateContacts(ctx, batch)
		}
		listWith(func(q *contacts.ContactQuery, r *contacts.ContactRecord) bool {
			was, _ := first.Load(r.Contact.ID)
			byNumber := contacts.ContactQuery{AccountID: q.AccountID, AllTeams: true, PhoneNumber: q.PhoneNumber}
			rest := *q
			rest.PhoneNumber = ""
			return byNumber.Matches(was.(*contacts.ContactRecord)) && rest.Matches(r)
		})(p)
	}},
	{"looks before it changes", "updates/one version by many", lookBeforeChange},
	{"loses a change", "updates/no change lost", lookBeforeChange},
	{"locks changes for its own process alone", "updates/one version by two processes", func(p *process) {
		lookBeforeChange(p)
		look := p.updateContacts
		var mu sync.Mutex
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			mu.Lock()
			defer mu.Unlock()
			return look(ctx, changes)
		}
	}},
	{"looks at all versions before it changes one", "updates/one version twice in a call", lookBeforeChange},
	{"changes in two steps", "updates/seen whole", func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			for _, c := range changes {
				half := *c.Record
				half.Contact.PhoneNumbers = nil
				if errs := p.data.UpdateContacts(ctx, []contacts.ContactChange{{Record: &half, Version: c.Version}}); errs != nil {
					return errs
				}
				dally()
				changeAnyway(ctx, p, c.Record)
			}
			return nil
		}
	}},
	{"loses changes on reopening", "updates/after reopening", func(p *process) {
		var changed sync.Map
		p.updateContacts = func(_ context.Context, changes []contacts.ContactChange) []error {
			for _, c := range changes {
				changed.Store(c.Record.Contact.ID, c.Record)
			}
			return nil
		}
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			if r, ok := changed.Load(id); ok {
				return r.(*contacts.ContactRecord), nil
			}
			return p.data.FindContact(ctx, account, id)
		}
	}},
	{"remembers the contacts that it has found", "updates/seen by a second process", func(p *process) {
		var found sync.Map
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			found.Clear()
			return p.data.UpdateContacts(ctx, changes)
		}
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			if r, ok := found.Load(id); ok {
				return r.(*contacts.ContactRecord), nil
			}
			r, err := p.data.FindContact(ctx, account, id)
			if err == nil {
				found.Store(id, r)
			}
			return r, err
		}
	}},
}

// onChange changes each change for which a contact is stored.
func onChange(change func(c *contacts.ContactChange, stored *contacts.ContactRecord)) func(*process) {
	return func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			changes = slices.Clone(changes)
			for i := range changes {
				r := *changes[i].Record
				r.Contact.Tags, r.Contact.PhoneNumbers = slices.Clone(r.Contact.Tags), slices.Clone(r.Contact.PhoneNumbers)
				changes[i].Record = &r
				if stored, err := p.data.FindContact(ctx, r.Contact.AccountID, r.Contact.ID); err == nil {
					change(&changes[i], stored)
				}
			}
			return p.data.UpdateContacts(ctx, changes)
		}
	}
}

// onChanged changes the error of each change; stored is what was there before, or
// nil.
func onChanged(change func(c contacts.ContactChange, stored *contacts.ContactRecord, err error) error) func(*process) {
	return func(p *process) {
		p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
			var all []error
			failed := false
			for _, c := range changes {
				stored, _ := p.data.FindContact(ctx, c.Record.Contact.AccountID, c.Record.Contact.ID)
				err := change(c, stored, errors.Join(p.data.UpdateContacts(ctx, []contacts.ContactChange{c})...))
				all = append(all, err)
				failed = failed || err != nil
			}
			if !failed {
				return nil
			}
			return all
		}
	}
}

// changeAnyway puts the record in the place of the stored one, whatever its
// version.
func changeAnyway(ctx context.Context, p *process, r *contacts.ContactRecord) {
	for {
		stored, err := p.data.FindContact(ctx, r.Contact.AccountID, r.Contact.ID)
		if err != nil {
			return
		}
		if p.data.UpdateContacts(ctx, []contacts.ContactChange{{Record: r, Version: stored.Contact.Version}}) == nil {
			return
		}
	}
}

// lookBeforeChange finds out which versions are stored, and changes them later.
func lookBeforeChange(p *process) {
	p.updateContacts = func(ctx context.Context, changes []contacts.ContactChange) []error {
		errs := make([]error, len(changes))
		for i, c := range changes {
			stored, err := p.data.FindContact(ctx, c.Record.Contact.AccountID, c.Record.Contact.ID)
			switch {
			case err != nil:
				errs[i] = err
			case stored.Contact.Version != c.Version:
				errs[i] = fmt.Errorf("version %d: %w", stored.Contact.Version, contacts.ErrConflict)
			}
		}
		dally()
		failed := false
		for i, c := range changes {
			if errs[i] == nil {
				changeAnyway(ctx, p, c.Record)
			}
			failed = failed || errs[i] != nil
		}
		if !failed {
			return nil
		}
		return errs
	}
}
