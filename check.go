package contacts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// CheckStore looks for what is wrong with the records of a store, and yields each
// [Finding] as it comes. It reads through the methods of [Store] alone, all accounts
// one after the other and a page at a time. It changes nothing, and others may write
// meanwhile. An error of the store, or of ctx, is the last thing it yields.
//
// The Check methods of the SQLite and PostgreSQL stores call it, and add what only
// they can see. The codes:
//
//   - settings_version_wrong, setting_unreadable;
//   - contact_unreadable, context_unreadable, team_missing; clock_ahead, if the
//     newest contact of an account was changed later than now; twins_under_policy,
//     if contacts share a match key that the account's [DuplicatePolicy] makes unique;
//   - sequence_wrong, if numbers of the journal do not ascend; entry_unreadable;
//     erased_is_back, if there is a contact that was erased; ledger_secret_missing, if
//     the settings do not know the secret of a do-not-call entry.
//
// A note with the code ledger_secret_missing says that the ledger of an account needs
// a secret of the host. A store does not hold those. [Service.CheckDoNotCall] reports
// whether the host has them.
func CheckStore(ctx context.Context, store Store) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		c := &checkup{Admin: NewAdmin(store, nil), yield: yield}
		for account, err := range c.Accounts(ctx) {
			if err == nil {
				err = c.account(ctx, account.ID)
			}
			if errors.Is(err, errCheckStopped) {
				return
			}
			if err != nil {
				yield(Finding{}, err)
				return
			}
		}
	}
}

// errCheckStopped: the caller has seen enough.
var errCheckStopped = errors.New("the caller has stopped the check")

// A checkup is a check of a store under way.
type checkup struct {
	*Admin
	yield func(Finding, error) bool
}

func (c *checkup) account(ctx context.Context, id uuid.UUID) error {
	a := &accountCheckup{checkup: c, id: id, teams: make(map[int64]bool)}
	for _, part := range []func(context.Context) error{a.settings, a.contacts, a.twins, a.journal} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// An accountCheckup is the check of one account.
type accountCheckup struct {
	*checkup
	id     uuid.UUID
	policy DuplicatePolicy

	// The fingerprints of the secrets that the settings know, and of those that were
	// reported already. unread: the setting cannot be read.
	secrets []string
	unread  bool

	teams  map[int64]bool // whether they exist, as far as was looked
	newest Contact        // the contact that was changed last
}

func (a *accountCheckup) found(f Finding) error {
	f.AccountID = a.id
	if !a.yield(f, nil) {
		return errCheckStopped
	}
	return nil
}

// settings checks versions and values of the settings.
func (a *accountCheckup) settings(ctx context.Context) error {
	before, err := a.store.FindAccount(ctx, a.id)
	if err != nil {
		return err
	}
	last := int64(0)
	all := walkDirectory(ctx, a.store, DirectoryQuery{Kind: DirectorySettings, AccountID: a.id},
		func(d Directory) []SettingRecord { return d.Settings },
		func(q *DirectoryQuery, last SettingRecord) { q.AfterVersion = last.Version })
	for s, err := range all {
		if err != nil {
			return err
		}
		if s.Version != last+1 {
			if err := a.wrongVersion(fmt.Sprintf("the setting with the version %d comes after that with the version %d", s.Version, last)); err != nil {
				return err
			}
		}
		last = s.Version
	}
	after, err := a.store.FindAccount(ctx, a.id)
	if err != nil {
		return err
	}
	if last < before.SettingsVersion || last > after.SettingsVersion {
		if err := a.wrongVersion(fmt.Sprintf("the newest setting has the version %d, and the account says %d", last, after.SettingsVersion)); err != nil {
			return err
		}
	}
	return a.values(after)
}

func (a *accountCheckup) wrongVersion(message string) error {
	return a.found(Finding{Severity: SeverityError, Code: "settings_version_wrong", Message: message, Advice: "Restore a backup. Until then the settings of this account may not be stored."})
}

// values checks the newest values of the settings.
func (a *accountCheckup) values(account *AccountRecord) (err error) {
	ledger, wrongLedger := account.ledgerSetting()
	policy, wrongPolicy := account.duplicatePolicy()
	_, wrongEvents := account.eventSettings()
	if wrongPolicy == nil {
		var bad problems
		policy.check(&bad)
		wrongPolicy = bad.err()
	}
	wrong := map[string]error{settingDoNotCall: wrongLedger, settingDuplicatePolicy: wrongPolicy, settingEvents: wrongEvents}
	for _, name := range slices.Sorted(maps.Keys(account.Settings)) {
		if wrong[name] == nil && json.Valid([]byte(account.Settings[name])) {
			continue
		}
		advice := "Set it again."
		if name == settingDoNotCall {
			advice = "Restore a backup: it holds what the do-not-call ledger is read with."
		}
		if err := a.found(Finding{Severity: SeverityError, Code: "setting_unreadable", Message: fmt.Sprintf("the setting %q cannot be read", name), Advice: advice}); err != nil {
			return err
		}
	}
	if wrongPolicy == nil {
		a.policy = policy
	}
	a.unread = wrongLedger != nil
	if ledger == nil {
		return nil
	}
	return a.ledgerSecrets(ledger)
}

// ledgerSecrets checks whether the secrets are there that the ledger was made with.
func (a *accountCheckup) ledgerSecrets(setting *ledgerSetting) error {
	a.secrets = setting.Fingerprints
	own := ""
	if setting.Secret != nil {
		if own = newLedgerSecret(setting.Secret).fingerprint; !slices.Contains(a.secrets, own) {
			if err := a.missingSecret(SeverityError, "the do-not-call entries were made with another secret than the one in the settings", 0); err != nil {
				return err
			}
		}
	}
	for _, fingerprint := range setting.Fingerprints {
		if fingerprint == own {
			continue
		}
		message := fmt.Sprintf("the do-not-call ledger needs the secret with the fingerprint %s, which the host keeps", fingerprint)
		if err := a.missingSecret(SeverityNote, message, 0); err != nil {
			return err
		}
	}
	return nil
}

func (a *accountCheckup) missingSecret(severity Severity, message string, sequence int64) error {
	advice := "Restore the setting of the ledger from a backup: without the secret, numbers that are listed are not found."
	if severity == SeverityNote {
		advice = "Give it to every program that uses the store, and keep a copy. Without it, calls that need the ledger fail."
	}
	return a.found(Finding{Severity: severity, Code: "ledger_secret_missing", Message: message, Advice: advice, Sequence: sequence})
}

// contacts checks the contacts, those that are not deleted first.
func (a *accountCheckup) contacts(ctx context.Context) error {
	for _, deleted := range []bool{false, true} {
		q := ContactQuery{AccountID: a.id, AllTeams: true, Deleted: deleted, Limit: checkPage}
		for {
			page, err := a.store.ListContacts(ctx, q)
			if err != nil {
				return err
			}
			for _, r := range page.Records {
				if err := a.contact(ctx, r, page.Damaged); err != nil {
					return err
				}
			}
			if len(page.Records) < q.Limit {
				break
			}
			q.After = page.Records[len(page.Records)-1].Contact.ID
		}
	}
	// The clock is read last: others may write meanwhile, and their clocks differ.
	const tolerance = 5 * time.Second
	if a.newest.UpdatedAt.Before(a.clock().Add(tolerance)) {
		return nil
	}
	return a.found(Finding{
		Severity: SeverityWarning, Code: "clock_ahead", ContactID: a.newest.ID,
		Message: "the newest contact was changed at " + a.newest.UpdatedAt.Format(time.RFC3339) + ", which is later than now",
		Advice:  "Compare the clock of this machine with those of the others that use the store. New contacts are sorted before this one until then.",
	})
}

// checkPage is how many contacts or journal entries are in memory at once.
const checkPage = 1000

func (a *accountCheckup) contact(ctx context.Context, r *ContactRecord, damaged []*DamagedError) error {
	c, d := &r.Contact, draft{record: r}
	code, reason := "", error(nil)
	if i := slices.IndexFunc(damaged, func(d *DamagedError) bool { return d.ContactID == c.ID }); i >= 0 {
		code, reason = "contact_unreadable", damaged[i].Reason
	} else if !c.inCalendar() {
		code, reason = "contact_unreadable", errWrongTime
	} else if bad := d.load(); bad != nil {
		code, reason = "context_unreadable", bad.Reason
	}
	if code != "" {
		if err := a.found(Finding{
			Severity: SeverityError, Code: code, ContactID: c.ID,
			Message: "the contact cannot be read: " + reason.Error(), Advice: "Restore it from a backup, or replace the contact, or delete it.",
		}); err != nil {
			return err
		}
	}
	if inCalendar(c.UpdatedAt) && c.UpdatedAt.After(a.newest.UpdatedAt) {
		a.newest = Contact{ID: c.ID, UpdatedAt: c.UpdatedAt}
	}
	if c.TeamID == 0 {
		return nil
	}
	exists, err := a.hasTeam(ctx, c.TeamID)
	if err != nil || exists {
		return err
	}
	return a.found(Finding{
		Severity: SeverityError, Code: "team_missing", ContactID: c.ID,
		Message: fmt.Sprintf("the contact is in the team %d, which does not exist", c.TeamID), Advice: "Create a team with this id, or move the contact to another team.",
	})
}

// hasTeam is teamExists, and remembers the answer.
func (a *accountCheckup) hasTeam(ctx context.Context, id int64) (bool, error) {
	const maxTeams = 10_000 // in memory
	if exists, ok := a.teams[id]; ok {
		return exists, nil
	}
	exists, err := teamExists(ctx, a.store, a.id, id)
	if err != nil {
		return false, err
	}
	if len(a.teams) == maxTeams {
		clear(a.teams)
	}
	a.teams[id] = exists
	return exists, nil
}

// twins finds contacts that share a match key that is unique.
func (a *accountCheckup) twins(ctx context.Context) error {
	const groups = 10 // in memory, of up to MaxGroupRecords contacts each
	for _, kind := range keyKinds {
		if !a.policy.unique(kind) {
			continue
		}
		q := ContactQuery{AccountID: a.id, AllTeams: true, Shared: kind, Limit: groups}
		for more := true; more; more = q.Position != "" {
			page, err := a.store.ListContacts(ctx, q)
			if err != nil {
				return err
			}
			for _, g := range page.Groups {
				if err := a.found(Finding{
					Severity: SeverityWarning, Code: "twins_under_policy", ContactID: g.Records[0].Contact.ID,
					Message: fmt.Sprintf("%d contacts have the same %s, which must be unique in this account; the contact is one of them", g.Count, kind),
					Advice:  "Delete or change all of them but one. A policy does not change contacts from before it.",
				}); err != nil {
					return err
				}
			}
			q.Position = page.Position
		}
	}
	return nil
}

// journal checks the entries of the journal.
func (a *accountCheckup) journal(ctx context.Context) error {
	last := int64(0)
	q := JournalQuery{AccountID: a.id, Limit: checkPage}
	for {
		page, err := a.store.ListJournal(ctx, q)
		if err != nil {
			return err
		}
		erased := make(map[uuid.UUID]int64) // the sequence of the receipt
		for i := range page {
			e := &page[i]
			if e.Sequence <= last { // so that the walk would not end
				return a.found(Finding{
					Severity: SeverityError, Code: "sequence_wrong", Sequence: e.Sequence,
					Message: fmt.Sprintf("an entry of the journal has the number %d, and comes after the number %d", e.Sequence, last), Advice: "Restore a backup.",
				})
			}
			last = e.Sequence
			if err := a.entry(ctx, e, erased); err != nil {
				return err
			}
		}
		if err := a.returned(ctx, erased); err != nil {
			return err
		}
		if len(page) < q.Limit {
			return nil
		}
		q.After = last
	}
}

// entry checks one entry of the journal. It adds the contact of an erasure to those
// that were erased.
func (a *accountCheckup) entry(ctx context.Context, e *JournalEntry, erased map[uuid.UUID]int64) error {
	readable := false
	switch e.Kind {
	case JournalEvent:
		d, err := decodeEvent(e.Data)
		if err == nil {
			_, err = d.event(a.id, e)
		}
		readable = err == nil
	case JournalDoNotCall:
		var d ledgerData
		if readable = d.read(e.Data) == ""; readable && d.Type != doNotCallOrigin {
			if err := a.secret(ctx, d.Secret, e.Sequence); err != nil {
				return err
			}
		}
	case JournalErasure:
		receipt, err := parseErasure(e)
		if readable = err == nil && receipt.isWhole() && e.Subject == contactSubject(receipt.ContactID); readable {
			erased[receipt.ContactID] = e.Sequence
		}
	}
	if readable {
		return nil
	}
	return a.found(Finding{
		Severity: SeverityError, Code: "entry_unreadable", Sequence: e.Sequence,
		Message: fmt.Sprintf("the entry %d of the journal cannot be read, or was altered", e.Sequence), Advice: "Restore a backup. Calls that need this entry fail.",
	})
}

// isWhole reports whether the receipt is as it was stored.
func (e *Erasure) isWhole() bool {
	digest, err := e.digest()
	return err == nil && digest == e.Digest
}

// secret checks that the settings know the secret of an entry of the ledger. The
// setting is stored before the first entry, but maybe after it was read here.
func (a *accountCheckup) secret(ctx context.Context, fingerprint string, sequence int64) error {
	if a.unread || slices.Contains(a.secrets, fingerprint) {
		return nil
	}
	account, err := a.store.FindAccount(ctx, a.id)
	if err != nil {
		return err
	}
	a.secrets = append(slices.Clone(a.secrets), fingerprint) // it is reported once
	if setting, err := account.ledgerSetting(); err == nil && setting != nil && slices.Contains(setting.Fingerprints, fingerprint) {
		return nil
	}
	message := fmt.Sprintf("the do-not-call entry %d was made with a secret that the settings of the account do not know", sequence)
	return a.missingSecret(SeverityError, message, sequence)
}

// returned finds contacts that are there although they were erased.
func (a *accountCheckup) returned(ctx context.Context, erased map[uuid.UUID]int64) error {
	if len(erased) == 0 {
		return nil
	}
	q := ContactQuery{AccountID: a.id, AllTeams: true, IDs: slices.Collect(maps.Keys(erased)), Limit: len(erased)}
	for _, q.Deleted = range []bool{false, true} {
		page, err := a.store.ListContacts(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if err := a.found(Finding{
				Severity: SeverityError, Code: "erased_is_back", ContactID: r.Contact.ID, Sequence: erased[r.Contact.ID],
				Message: "the contact was erased, and is there again", Advice: "Erase it again, with the receipt of the first erasure, which the entry of the journal is.",
			}); err != nil {
				return err
			}
		}
	}
	return nil
}
