package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"example.com/contacts"
)

// ledgerFlags are the secrets of the do-not-call ledger. Whatever reads a contact or a
// number needs those that made an entry.
type ledgerFlags struct {
	DoNotCallSecret []string `env:"CONTACTS_DO_NOT_CALL_SECRETS" sep:"none" placeholder:"FILE" help:"A file whose bytes are a secret of the do-not-call list. The first makes new entries. May be given more than once; in the variable, files are separated as in PATH. Default: each account has its own, in the store."`
}

// secrets reads the files. nil: none was given.
func (f *ledgerFlags) secrets() (secrets [][]byte, err error) {
	for _, given := range f.DoNotCallSecret {
		for _, name := range filepath.SplitList(given) {
			secret, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("the secret of the do-not-call list: %w", err)
			}
			secrets = append(secrets, secret)
		}
	}
	return secrets, nil
}

// asHost works on the store as its host, who knows the secrets.
func (f *ledgerFlags) asHost(ctx context.Context, s *session, work func(*contacts.Admin) error) error {
	secrets, err := f.secrets()
	if err != nil {
		return err
	}
	return s.withStore(ctx, func(store contacts.Store) error {
		if _, err := contacts.New(store, &contacts.Options{DoNotCallSecrets: secrets}); err != nil { // one is too short
			return err
		}
		return work(contacts.NewAdmin(store, &contacts.AdminOptions{Actor: actor(), DoNotCallSecrets: secrets}))
	})
}
