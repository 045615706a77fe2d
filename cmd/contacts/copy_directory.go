package main

import (
	"context"

	"github.com/google/uuid"

	"example.com/contacts"
)

// bringAccount makes the account in the target as it is in the source.
func (y *copier) bringAccount(ctx context.Context, account contacts.Account, target map[uuid.UUID]contacts.Account) error {
	copied, ok := target[account.ID]
	if !ok {
		_, err := y.to.AddToDirectory(ctx, contacts.Directory{Accounts: []contacts.Account{account}})
		return err
	}
	if copied.DisabledAt.Equal(account.DisabledAt) {
		return nil
	}
	if !copied.DisabledAt.IsZero() { // a disabled account keeps its first time
		if err := y.to.UpdateDirectory(ctx, contacts.DirectoryUpdate{AccountID: account.ID}); err != nil {
			return err
		}
	}
	if account.DisabledAt.IsZero() {
		return nil
	}
	return y.to.UpdateDirectory(ctx, contacts.DirectoryUpdate{AccountID: account.ID, At: account.DisabledAt})
}

// copyTeams adds the teams that the target lacks.
func (y *copier) copyTeams(ctx context.Context, account uuid.UUID) error {
	has := make(map[int64]bool)
	for page, err := range directory(ctx, y.to, contacts.DirectoryTeams, account) {
		if err != nil {
			return err
		}
		for _, team := range page.Teams {
			has[team.ID] = true
		}
	}
	for page, err := range directory(ctx, y.from, contacts.DirectoryTeams, account) {
		if err != nil {
			return err
		}
		var add contacts.Directory
		for _, team := range page.Teams {
			if !has[team.ID] {
				add.Teams = append(add.Teams, team)
			}
		}
		if err := y.add(ctx, add); err != nil {
			return err
		}
	}
	return nil
}

// copySettings adds the settings that came after the newest one of the target.
func (y *copier) copySettings(ctx context.Context, account uuid.UUID) error {
	copied, err := y.to.FindAccount(ctx, account)
	if err != nil {
		return err
	}
	for page, err := range directory(ctx, y.from, contacts.DirectorySettings, account) {
		if err != nil {
			return err
		}
		var add contacts.Directory
		for _, setting := range page.Settings {
			if setting.Version > copied.SettingsVersion {
				add.Settings = append(add.Settings, setting)
			}
		}
		if err := y.add(ctx, add); err != nil {
			return err
		}
	}
	return nil
}

// copyKeys adds the API keys that the target lacks, and revokes those that were
// revoked since.
func (y *copier) copyKeys(ctx context.Context, account uuid.UUID) error {
	revoked := make(map[uuid.UUID]bool) // by the id of each key of the target
	for page, err := range directory(ctx, y.to, contacts.DirectoryKeys, account) {
		if err != nil {
			return err
		}
		for _, key := range page.Keys {
			revoked[key.ID] = !key.RevokedAt.IsZero()
		}
	}
	for page, err := range directory(ctx, y.from, contacts.DirectoryKeys, account) {
		if err != nil {
			return err
		}
		var add contacts.Directory
		for _, key := range page.Keys {
			was, has := revoked[key.ID]
			if !has {
				add.Keys = append(add.Keys, key)
				continue
			}
			if !was && !key.RevokedAt.IsZero() {
				if err := y.to.UpdateDirectory(ctx, contacts.DirectoryUpdate{KeyID: key.ID, At: key.RevokedAt}); err != nil {
					return err
				}
			}
		}
		if err := y.add(ctx, add); err != nil {
			return err
		}
	}
	return nil
}

// add adds records to the target, if there are any.
func (y *copier) add(ctx context.Context, d contacts.Directory) error {
	if len(d.Teams) == 0 && len(d.Keys) == 0 && len(d.Settings) == 0 {
		return nil
	}
	_, err := y.to.AddToDirectory(ctx, d)
	return err
}
