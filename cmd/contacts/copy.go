package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/schollz/progressbar/v3"

	"example.com/contacts"
)

type copyCommand struct {
	From   storeAddress `arg:"" help:"The store that is copied. It is only read."`
	To     storeAddress `arg:"" help:"The store that becomes the copy. It must be empty, except with --again."`
	Again  bool         `help:"Bring an earlier copy up to date, or go on with one that was cut off."`
	Remove bool         `help:"Remove contacts of the copy that are no longer in the source."`
	Check  bool         `help:"Copy nothing. Compare the two, and end with 5 if they differ."`
}

// Help is printed after the flags.
func (copyCommand) Help() string {
	return "For a short interruption: copy while the source is in use, stop what writes to it, then copy again with --again. " +
		"Idempotency keys are not copied: for 24 hours, a create that is sent again may be stored twice."
}

func (c *copyCommand) Run(ctx context.Context, s *session) error {
	if c.Remove && !c.Again {
		return usage("--remove needs --again: a new copy has nothing to remove")
	}
	from, err := c.From.resolve("FROM")
	if err != nil {
		return err
	}
	to, err := c.To.resolve("TO")
	if err != nil {
		return err
	}
	if from.same(to) {
		return usage("FROM and TO are the same store")
	}
	if err := checkSource(ctx, from, "FROM"); err != nil {
		return err
	}
	if c.Check {
		if err := checkSource(ctx, to, "TO"); err != nil {
			return err
		}
	}
	return withStores(ctx, from, to, func(source, target contacts.Store) error {
		y := &copier{from: source, to: target, remove: c.Remove, now: time.Now().UTC().Truncate(time.Microsecond), s: s}
		return y.run(ctx, c.Again, c.Check)
	})
}

// checkSource refuses to open a store that opening would make or change.
func checkSource(ctx context.Context, a storeAddress, what string) error {
	found, err := a.inspect(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no file %s", what, a)
	case err != nil:
		return err
	case found.unusable() != nil:
		return fmt.Errorf("%s: %s: %w", what, a, found.unusable())
	case found.schema < found.newest:
		return fmt.Errorf("%s has the schema %d, and this program writes %d: contacts migrate comes first", what, found.schema, found.newest)
	}
	return nil
}

func withStores(ctx context.Context, from, to storeAddress, work func(from, to contacts.Store) error) (err error) {
	source, err := from.open(ctx)
	if err != nil {
		return fmt.Errorf("FROM: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := to.open(ctx)
	if err != nil {
		return fmt.Errorf("TO: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	return work(source, target)
}

// A copier copies a store into another one.
type copier struct {
	from, to contacts.Store
	remove   bool // contacts that the source has no longer
	extra    int  // such contacts that were not removed
	now      time.Time
	s        *session
	bar      *progressbar.ProgressBar
}

// pageSize is how many records are read and written at once.
const pageSize = contacts.MaxMutations

// run copies, or only checks, and compares the stores.
func (y *copier) run(ctx context.Context, again, check bool) (err error) {
	if !check {
		err = y.copy(ctx, again)
	}
	var differences []string
	if err == nil {
		differences, err = y.prove(ctx)
	}
	switch {
	case interrupted(ctx, err) && check:
		return advisedError{errors.New("the comparison was interrupted"), "TO", "nothing was changed: run it again"}
	case interrupted(ctx, err):
		return advisedError{errors.New("the copy was interrupted"), "TO", "run it again with --again to go on"}
	case err != nil || len(differences) == 0:
		return err
	}
	for _, d := range differences {
		y.s.warn("%s", d)
	}
	advice := "stop what writes to the source, and run it again with --again"
	switch {
	case check:
		return exitError(exitFinding)
	case y.extra > 0:
		advice += fmt.Sprintf("; --again --remove removes the %d contacts that FROM has no longer", y.extra)
	}
	return advisedError{errors.New("the copy differs from the source"), "TO", advice}
}

// copy copies everything. API keys come last, so that nobody can call the target
// before it is whole.
func (y *copier) copy(ctx context.Context, again bool) error {
	source, err := y.accounts(ctx, y.from)
	if err != nil {
		return err
	}
	target, err := y.accounts(ctx, y.to)
	if err != nil {
		return err
	}
	if len(target) > 0 && !again {
		return errors.New("TO is not empty, and nothing was written: give an empty store, or --again if it is an earlier copy of FROM")
	}
	for id := range target {
		if _, ok := source[id]; !ok {
			return fmt.Errorf("TO has the account %s, which FROM lacks, so it is no copy of FROM; nothing was written", id)
		}
	}
	total, err := y.count(ctx, source)
	if err != nil {
		return err
	}
	y.bar = y.s.progress("contacts", total)
	defer y.bar.Close()
	ids := sorted(source)
	for _, id := range ids {
		if err := y.notAhead(ctx, id, target); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if err := y.copyAccount(ctx, source[id], target); err != nil {
			return fmt.Errorf("account %s: %w", id, err)
		}
	}
	for _, id := range ids {
		if err := y.copyKeys(ctx, id); err != nil {
			return fmt.Errorf("the API keys of account %s: %w", id, err)
		}
	}
	y.s.say("Idempotency keys are not copied: until %s a create that is sent again may be stored twice.",
		clock(time.Now().Add(24*time.Hour)))
	return nil
}

// count returns how many contacts the source has, for the bar.
func (y *copier) count(ctx context.Context, accounts map[uuid.UUID]contacts.Account) (total int64, err error) {
	if !y.s.showsProgress() {
		return -1, nil
	}
	for id := range accounts {
		for _, deleted := range []bool{false, true} {
			list, err := y.from.ListContacts(ctx, contacts.ContactQuery{AccountID: id, AllTeams: true, Deleted: deleted, Limit: 1, Count: true})
			if err != nil {
				return 0, err
			}
			total += int64(list.Count)
		}
	}
	return total, nil
}

// notAhead returns an error if the target has what the source has not yet.
func (y *copier) notAhead(ctx context.Context, account uuid.UUID, target map[uuid.UUID]contacts.Account) error {
	if _, ok := target[account]; !ok {
		return nil
	}
	source, err := newest(ctx, y.from, account)
	if err != nil {
		return err
	}
	copied, err := newest(ctx, y.to, account)
	if err != nil {
		return err
	}
	if copied > source {
		return fmt.Errorf("the journal of account %s has the number %d in TO and %d in FROM, so TO is newer; nothing was written", account, copied, source)
	}
	for pair, err := range pairs(contactsOf(ctx, y.from, account), contactsOf(ctx, y.to, account), descending) {
		if err != nil {
			return err
		}
		if f, t := pair.from, pair.to; f != nil && t != nil && t.Contact.Version > f.Contact.Version {
			return fmt.Errorf("the contact %s of account %s has the version %d in TO and %d in FROM, so TO is newer; nothing was written",
				t.Contact.ID, account, t.Contact.Version, f.Contact.Version)
		}
	}
	return nil
}

// newest returns the number of the newest entry in the journal of an account.
func newest(ctx context.Context, store contacts.Store, account uuid.UUID) (int64, error) {
	entries, err := store.ListJournal(ctx, contacts.JournalQuery{AccountID: account, Backwards: true, Limit: 1})
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	return entries[0].Sequence, nil
}

// copyAccount copies an account with all that it has, except its API keys. Its journal
// comes after its contacts, so that none is ever there without its do-not-call entries.
func (y *copier) copyAccount(ctx context.Context, account contacts.Account, target map[uuid.UUID]contacts.Account) error {
	if err := y.bringAccount(ctx, account, target); err != nil {
		return err
	}
	if err := y.copyTeams(ctx, account.ID); err != nil {
		return err
	}
	if err := y.copySettings(ctx, account.ID); err != nil {
		return err
	}
	if err := y.copyContacts(ctx, account.ID); err != nil {
		return err
	}
	return y.copyJournal(ctx, account.ID)
}

// accounts returns the accounts of a store.
func (y *copier) accounts(ctx context.Context, store contacts.Store) (map[uuid.UUID]contacts.Account, error) {
	all := make(map[uuid.UUID]contacts.Account)
	for account, err := range contacts.NewAdmin(store, nil).Accounts(ctx) {
		if err != nil {
			return nil, err
		}
		all[account.ID] = account
	}
	return all, nil
}

func sorted(accounts map[uuid.UUID]contacts.Account) []uuid.UUID {
	ids := make([]uuid.UUID, 0, len(accounts))
	for id := range accounts {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return ids
}
