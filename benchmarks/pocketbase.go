package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations" // the system collections
)

// pocketbase is PocketBase as a library with its own driver and its own
// settings, under which a power cut may lose the newest contacts. Phones and
// tags are collections of their own, and the records of a contact are saved in
// one transaction. It gets valid contacts.
var pocketbase = peer{
	name: "PocketBase",
	open: openPocketBase,
	count: func(ctx context.Context, dir string) (counts, error) {
		return countRows(ctx, filepath.Join(dir, "data.db"), "contacts", "phones", "tags")
	},
}

type pocketbaseTarget struct {
	app                    core.App
	contacts, phones, tags *core.Collection
}

func openPocketBase(_ context.Context, dir string, _ *world) (target, error) {
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
	t := &pocketbaseTarget{
		app:      app,
		contacts: core.NewBaseCollection("contacts"),
		phones:   core.NewBaseCollection("phones"),
		tags:     core.NewBaseCollection("tags"),
	}
	if err := errors.Join(app.Bootstrap(), t.makeCollections()); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *pocketbaseTarget) makeCollections() error {
	if err := t.app.RunAllMigrations(); err != nil {
		return err
	}
	for _, name := range []string{"account", "first_name", "last_name", "email", "company", "website", "address", "city", "state",
		"zip_code", "country", "status", "stage"} {
		t.contacts.Fields.Add(&core.TextField{Name: name})
	}
	t.contacts.Fields.Add(
		&core.NumberField{Name: "team_id"},
		&core.JSONField{Name: "custom_context"}, &core.JSONField{Name: "industry_context"},
		&core.AutodateField{Name: "created", OnCreate: true}, &core.AutodateField{Name: "updated", OnCreate: true, OnUpdate: true},
	)
	t.contacts.AddIndex("contacts_email", false, "account, email", "")
	t.contacts.AddIndex("contacts_created", false, "account, created", "")
	if err := t.app.Save(t.contacts); err != nil {
		return fmt.Errorf("contacts: %w", err)
	}
	relation := &core.RelationField{Name: "contact", CollectionId: t.contacts.Id, Required: true, MaxSelect: 1, CascadeDelete: true}
	t.phones.Fields.Add(relation, &core.TextField{Name: "account"}, &core.TextField{Name: "number"}, &core.TextField{Name: "type"},
		&core.BoolField{Name: "is_primary"}, &core.BoolField{Name: "do_not_call"})
	t.phones.AddIndex("phones_number", false, "account, number", "")
	t.phones.AddIndex("phones_contact", false, "contact", "")
	if err := t.app.Save(t.phones); err != nil {
		return fmt.Errorf("phones: %w", err)
	}
	t.tags.Fields.Add(relation, &core.TextField{Name: "account"}, &core.TextField{Name: "tag"})
	t.tags.AddIndex("tags_tag", false, "account, tag", "")
	t.tags.AddIndex("tags_contact", false, "contact", "")
	if err := t.app.Save(t.tags); err != nil {
		return fmt.Errorf("tags: %w", err)
	}
	return nil
}

func (t *pocketbaseTarget) create(ctx context.Context, c *contact) error {
	account := c.record.Contact.AccountID.String()
	return t.app.RunInTransaction(func(tx core.App) error {
		in := &c.input
		r := core.NewRecord(t.contacts)
		r.Load(map[string]any{
			"account": account, "first_name": in.FirstName, "last_name": in.LastName, "email": in.Email, "company": in.Company,
			"website": in.Website, "address": in.Address, "city": in.City, "state": in.State, "zip_code": in.ZipCode, "country": in.Country,
			"status": in.Status, "stage": in.Stage, "team_id": in.TeamID,
			"custom_context": in.CustomContext, "industry_context": in.IndustryContext,
		})
		if err := tx.SaveWithContext(ctx, r); err != nil {
			return err
		}
		for _, p := range in.PhoneNumbers {
			phone := core.NewRecord(t.phones)
			phone.Load(map[string]any{"contact": r.Id, "account": account, "number": p.PhoneNumber, "type": p.PhoneType,
				"is_primary": p.Primary, "do_not_call": p.DoNotCall})
			if err := tx.SaveWithContext(ctx, phone); err != nil {
				return err
			}
		}
		for _, name := range in.Tags {
			tag := core.NewRecord(t.tags)
			tag.Load(map[string]any{"contact": r.Id, "account": account, "tag": name})
			if err := tx.SaveWithContext(ctx, tag); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *pocketbaseTarget) close() error { return t.app.ResetBootstrapState() }
