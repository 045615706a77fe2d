package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"

	"github.com/google/uuid"

	"example.com/contacts"
)

// A session is what one run of the command works with.
type session struct {
	*globals
	in     io.Reader
	out    *output   // results
	errors io.Writer // errors, progress, questions
}

// say tells a person something that is no result.
func (s *session) say(format string, args ...any) {
	if !s.Quiet && !s.JSON {
		fmt.Fprintf(s.errors, format+"\n", args...)
	}
}

// warn tells a person what is wrong, also one who wants results and errors alone. For
// programs it must be in those.
func (s *session) warn(format string, args ...any) {
	if !s.JSON {
		fmt.Fprintf(s.errors, format+"\n", args...)
	}
}

// withStore opens the store, works on it, and closes it. There must be one: a misspelt
// address would become a store with nothing in it.
func (s *session) withStore(ctx context.Context, work func(contacts.Store) error) error {
	address, err := s.DB.resolve("--db")
	if err != nil {
		return err
	}
	if err := address.mustBeStore(ctx); err != nil {
		return err
	}
	return address.use(ctx, work)
}

// withNewStore does the same, and makes the store if there is none.
func (s *session) withNewStore(ctx context.Context, work func(contacts.Store) error) error {
	address, err := s.DB.resolve("--db")
	if err != nil {
		return err
	}
	return address.use(ctx, work)
}

// asHost works on the store as its host.
func (s *session) asHost(ctx context.Context, work func(*contacts.Admin) error) error {
	return s.withStore(ctx, func(store contacts.Store) error { return work(newAdmin(store)) })
}

func newAdmin(store contacts.Store) *contacts.Admin {
	return contacts.NewAdmin(store, &contacts.AdminOptions{Actor: actor()})
}

// actor names who runs the command, for the record of who changed what.
func actor() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return "cli:" + name + "@" + host
}

// accountFlag is the account that a command is about.
type accountFlag struct {
	Account uuid.UUID `env:"CONTACTS_ACCOUNT" placeholder:"ID" help:"The account. Not needed where the store has exactly one."`
}

// choose returns the account that was named, or the only one of the store.
func (f accountFlag) choose(ctx context.Context, admin *contacts.Admin) (uuid.UUID, error) {
	if f.Account != uuid.Nil {
		return f.Account, nil
	}
	var all []contacts.Account
	const maxListed = 20 // in the message
	for account, err := range admin.Accounts(ctx) {
		if err != nil {
			return uuid.Nil, err
		}
		if all = append(all, account); len(all) == maxListed {
			break
		}
	}
	switch len(all) {
	case 0:
		return uuid.Nil, errors.New("the store has no account yet; make one with contacts accounts create NAME")
	case 1:
		return all[0].ID, nil
	}
	list := "the store has several accounts; give one with --account:"
	for _, account := range all {
		list += "\n  " + account.ID.String() + "  " + account.Name
	}
	return uuid.Nil, usage("%s", list)
}

// existing returns the account that choose returns. One that does not exist, and has no
// records therefore, is an error.
func (f accountFlag) existing(ctx context.Context, admin *contacts.Admin) (uuid.UUID, error) {
	account, err := f.choose(ctx, admin)
	if err != nil {
		return uuid.Nil, err
	}
	_, err = admin.LastSequence(ctx, account)
	return account, err
}
