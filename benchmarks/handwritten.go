package main

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"time"

	"github.com/google/uuid"

	"example.com/contacts"
)

// handwritten is what a program would write for itself: database/sql, prepared
// statements, normalised tables, a transaction for each contact. It gets
// contacts that are valid, with their ids, and checks neither key nor team.
var handwritten = peer{
	name:  "database/sql",
	open:  openHandwritten,
	count: countNormalised,
}

// normalised is the schema of the peers that keep tables for phones and tags.
// It serves the same look-ups as the store: by id, by e-mail address, by number,
// by tag, newest first, all within an account.
const normalised = `
CREATE TABLE IF NOT EXISTS contacts (
	account BLOB NOT NULL, id BLOB NOT NULL,
	first_name TEXT NOT NULL, last_name TEXT, email TEXT, company TEXT, website TEXT,
	address TEXT, city TEXT, state TEXT, zip_code TEXT, country TEXT NOT NULL,
	status TEXT NOT NULL, stage TEXT NOT NULL, team_id INTEGER,
	custom_context TEXT, industry_context TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
	PRIMARY KEY (account, id)
);
CREATE INDEX IF NOT EXISTS contacts_email ON contacts (account, email);
CREATE TABLE IF NOT EXISTS phones (
	row INTEGER PRIMARY KEY, account BLOB NOT NULL, contact_id BLOB NOT NULL,
	id BLOB NOT NULL, number TEXT NOT NULL, type TEXT, is_primary INTEGER NOT NULL, do_not_call INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS phones_number ON phones (account, number);
CREATE INDEX IF NOT EXISTS phones_contact ON phones (contact_id);
CREATE TABLE IF NOT EXISTS tags (
	row INTEGER PRIMARY KEY, account BLOB NOT NULL, contact_id BLOB NOT NULL, tag TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS tags_tag ON tags (account, tag);
CREATE INDEX IF NOT EXISTS tags_contact ON tags (contact_id);
`

func countNormalised(ctx context.Context, dir string) (counts, error) {
	return countRows(ctx, file(dir), "contacts", "phones", "tags")
}

// openNormalised opens the one connection that writes, and makes the tables.
func openNormalised(ctx context.Context, dir string) (*sql.DB, error) {
	db := openDB(file(dir), 1, writerPragmas)
	if _, err := db.ExecContext(ctx, normalised); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

type handwrittenTarget struct {
	db, readers                             *sql.DB
	insertContact, insertPhone, insertTag   *sql.Stmt
	selectContact, selectPhones, selectTags *sql.Stmt
}

func openHandwritten(ctx context.Context, dir string, _ *world) (target, error) {
	db, err := openNormalised(ctx, dir)
	if err != nil {
		return nil, err
	}
	t := &handwrittenTarget{db: db, readers: openDB(file(dir), max(4, runtime.GOMAXPROCS(0)), readerPragmas)}
	for _, s := range []struct {
		db    *sql.DB
		stmt  **sql.Stmt
		query string
	}{
		{t.db, &t.insertContact, `INSERT INTO contacts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{t.db, &t.insertPhone, `INSERT INTO phones VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)`},
		{t.db, &t.insertTag, `INSERT INTO tags VALUES (NULL, ?, ?, ?)`},
		{t.readers, &t.selectContact, `SELECT first_name, last_name, email, company, website, address, city, state, zip_code, country,
			status, stage, team_id, custom_context, industry_context, created_at, updated_at FROM contacts WHERE account = ? AND id = ?`},
		{t.readers, &t.selectPhones, `SELECT id, number, type, is_primary, do_not_call FROM phones WHERE contact_id = ? ORDER BY row`},
		{t.readers, &t.selectTags, `SELECT tag FROM tags WHERE contact_id = ? ORDER BY row`},
	} {
		if *s.stmt, err = s.db.PrepareContext(ctx, s.query); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	return t, nil
}

func (t *handwrittenTarget) create(ctx context.Context, c *contact) error {
	return t.createAll(ctx, []*contacts.ContactRecord{c.record})
}

func (t *handwrittenTarget) createAll(ctx context.Context, all []*contacts.ContactRecord) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	insertContact, insertPhone, insertTag := tx.StmtContext(ctx, t.insertContact), tx.StmtContext(ctx, t.insertPhone), tx.StmtContext(ctx, t.insertTag)
	for _, r := range all {
		c := &r.Contact
		if _, err := insertContact.ExecContext(ctx, c.AccountID[:], c.ID[:], c.FirstName, c.LastName, c.Email, c.Company, c.Website,
			c.Address, c.City, c.State, c.ZipCode, c.Country, c.Status, c.Stage, c.TeamID,
			r.CustomContext, r.IndustryContext, c.CreatedAt.UnixMicro(), c.UpdatedAt.UnixMicro()); err != nil {
			return err
		}
		for _, p := range c.PhoneNumbers {
			if _, err := insertPhone.ExecContext(ctx, c.AccountID[:], c.ID[:], p.ID[:], p.PhoneNumber, p.PhoneType, p.Primary, p.DoNotCall); err != nil {
				return err
			}
		}
		for _, tag := range c.Tags {
			if _, err := insertTag.ExecContext(ctx, c.AccountID[:], c.ID[:], tag); err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}

func (t *handwrittenTarget) find(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
	r := &contacts.ContactRecord{Contact: contacts.Contact{ID: id, AccountID: account}}
	c := &r.Contact
	var created, updated int64
	if err := t.selectContact.QueryRowContext(ctx, account[:], id[:]).Scan(&c.FirstName, &c.LastName, &c.Email, &c.Company, &c.Website,
		&c.Address, &c.City, &c.State, &c.ZipCode, &c.Country, &c.Status, &c.Stage, &c.TeamID,
		&r.CustomContext, &r.IndustryContext, &created, &updated); err != nil {
		return nil, err
	}
	c.CreatedAt, c.UpdatedAt = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()

	phones, err := t.selectPhones.QueryContext(ctx, id[:])
	if err != nil {
		return nil, err
	}
	defer phones.Close()
	for phones.Next() {
		var p contacts.PhoneNumber
		var id []byte
		if err := phones.Scan(&id, &p.PhoneNumber, &p.PhoneType, &p.Primary, &p.DoNotCall); err != nil {
			return nil, err
		}
		p.ID = uuid.UUID(id)
		c.PhoneNumbers = append(c.PhoneNumbers, p)
	}
	if err := phones.Err(); err != nil {
		return nil, err
	}

	tags, err := t.selectTags.QueryContext(ctx, id[:])
	if err != nil {
		return nil, err
	}
	defer tags.Close()
	for tags.Next() {
		var tag string
		if err := tags.Scan(&tag); err != nil {
			return nil, err
		}
		c.Tags = append(c.Tags, tag)
	}
	return r, tags.Err()
}

func (t *handwrittenTarget) close() error {
	var errs []error
	for _, s := range []*sql.Stmt{t.insertContact, t.insertPhone, t.insertTag, t.selectContact, t.selectPhones, t.selectTags} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, t.readers.Close(), t.db.Close())...)
}
