package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// recordFaults change what comes back of a record.
var recordFaults = []fault{
	{"drops the last name", "contacts/full record", onContact(func(r *contacts.ContactRecord) { r.Contact.LastName = "" })},
	{"drops the external id", "contacts/full record", onContact(func(r *contacts.ContactRecord) { r.Contact.ExternalID = "" })},
	{"keeps the do-not-call marks", "contacts/do-not-call fields", func(p *process) {
		marked := make(map[uuid.UUID]contacts.PhoneNumber)
		onMutation(func(m *contacts.Mutation) {
			for _, c := range m.Contacts {
				for _, n := range c.Record.Contact.PhoneNumbers {
					marked[n.ID] = n
				}
			}
		})(p)
		changeContacts(p, func(r *contacts.ContactRecord) {
			for i, n := range r.Contact.PhoneNumbers {
				if was := marked[n.ID]; was.DoNotCall {
					r.Contact.PhoneNumbers[i] = was
				}
			}
		})
	}},
	{"fills in a default", "contacts/minimal record", onContact(func(r *contacts.ContactRecord) {
		if r.Contact.Country == "" {
			r.Contact.Country = "US"
		}
	})},
	{"sorts the tags", "contacts/order of tags and phone numbers", onContact(func(r *contacts.ContactRecord) { slices.Sort(r.Contact.Tags) })},
	{"drops repeated tags", "contacts/no rules", onContact(func(r *contacts.ContactRecord) { r.Contact.Tags = slices.Compact(r.Contact.Tags) })},
	{"returns empty slices for nil", "contacts/minimal record", onContact(func(r *contacts.ContactRecord) {
		if r.Contact.Tags == nil {
			r.Contact.Tags = []string{}
		}
	})},
	{"keeps empty slices", "contacts/empty slices", onContact(func(r *contacts.ContactRecord) {
		if r.Contact.PhoneNumbers == nil {
			r.Contact.PhoneNumbers = []contacts.PhoneNumber{}
		}
	})},
	{"returns empty slices of a key for nil", "keys/empty slices", onKey(func(k *contacts.KeyRecord) {
		if k.TeamIDs == nil {
			k.TeamIDs = []int64{}
		}
	})},
	{"truncates times to seconds", "contacts/times", onContact(func(r *contacts.ContactRecord) {
		r.Contact.UpdatedAt = r.Contact.UpdatedAt.Truncate(time.Second)
	})},
	{"returns local times", "contacts/full record", onContact(func(r *contacts.ContactRecord) {
		r.Contact.CreatedAt = r.Contact.CreatedAt.In(time.FixedZone("", 3600))
	})},
	{"keeps times as nanoseconds", "contacts/times", onContact(func(r *contacts.ContactRecord) {
		r.Contact.CreatedAt = time.Unix(0, r.Contact.CreatedAt.UnixNano()).UTC()
	})},
	{"makes the zero time 1970", "contacts/times", onContact(func(r *contacts.ContactRecord) {
		if r.Contact.UpdatedAt.IsZero() {
			r.Contact.UpdatedAt = time.Unix(0, 0).UTC()
		}
	})},
	{"rejects an invalid record", "contacts/no rules", onErr(func(m contacts.Mutation, err error) error {
		if err == nil && isCreate(m) && m.Contacts[0].Record.Contact.FirstName == "" {
			return errors.New("first name is missing")
		}
		return err
	})},
	{"trims text", "text/hostile text in contacts", onContact(func(r *contacts.ContactRecord) { r.Contact.City = strings.TrimSpace(r.Contact.City) })},
	{"trims external ids", "text/hostile text in contacts", onContact(func(r *contacts.ContactRecord) {
		r.Contact.ExternalID = strings.TrimSpace(r.Contact.ExternalID)
	})},
	{"trims external ids of changes", "updates/hostile text in changes", onRecord(func(next, _ *contacts.ContactRecord) {
		next.Contact.ExternalID = strings.TrimSpace(next.Contact.ExternalID)
	})},
	{"trims text of changes", "updates/hostile text in changes", onRecord(func(next, _ *contacts.ContactRecord) {
		next.Contact.ZipCode = strings.TrimSpace(next.Contact.ZipCode)
	})},
	{"trims text of the directory", "text/hostile text in the directory", onKey(func(k *contacts.KeyRecord) { k.Name = strings.TrimSpace(k.Name) })},
	{"folds letter case", "text/letter case", onContact(func(r *contacts.ContactRecord) { r.Contact.Email = strings.ToLower(r.Contact.Email) })},
	{"takes tags that differ in case for one", "text/letter case", onContact(func(r *contacts.ContactRecord) {
		r.Contact.Tags = slices.CompactFunc(r.Contact.Tags, strings.EqualFold)
	})},
	{"normalises text", "text/alike and different", onContact(func(r *contacts.ContactRecord) {
		for i, tag := range r.Contact.Tags {
			r.Contact.Tags[i] = strings.ReplaceAll(tag, "e\u0308", "ë")
		}
	})},
	{"re-encodes contexts", "text/contexts verbatim", onContact(func(r *contacts.ContactRecord) {
		r.CustomContext = strings.ReplaceAll(r.CustomContext, " ", "")
	})},

	{"finds no deleted contact", "contacts/deleted record", func(p *process) {
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			r, err := p.data.FindContact(ctx, account, id)
			if err == nil && !r.Contact.DeletedAt.IsZero() {
				return nil, contacts.ErrNotFound
			}
			return r, err
		}
	}},
	{"drops the time of the deletion", "contacts/deleted record", onContact(func(r *contacts.ContactRecord) { r.Contact.DeletedAt = time.Time{} })},
	{"keeps versions in 32 bits", "contacts/full record", onContact(func(r *contacts.ContactRecord) { r.Contact.Version = int64(int32(r.Contact.Version)) })},
	{"truncates the time of the deletion", "contacts/times of deletions", onContact(func(r *contacts.ContactRecord) {
		r.Contact.DeletedAt = r.Contact.DeletedAt.Truncate(time.Millisecond)
	})},
	{"finds a contact that is not there", "contacts/contact unknown", func(p *process) {
		p.findContact = func(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
			r, err := p.data.FindContact(ctx, account, id)
			if errors.Is(err, contacts.ErrNotFound) {
				return new(contacts.ContactRecord), nil
			}
			return r, err
		}
	}},
}
