package contacts

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"
)

// A ledgerSecret makes the subjects of do-not-call entries out of phone numbers.
type ledgerSecret struct {
	fingerprint string     // the first 8 bytes of its SHA-256, in hexadecimal
	makers      *sync.Pool // of *subjectMaker
}

// A subjectMaker makes one subject after the other. Beginning with the secret takes
// as long as the rest.
type subjectMaker struct {
	mac  hash.Hash
	text []byte // of the last one
}

const minLedgerSecret = 32 // bytes

func newLedgerSecret(key []byte) ledgerSecret {
	sum := sha256.Sum256(key)
	key = slices.Clone(key)
	return ledgerSecret{hex.EncodeToString(sum[:8]), &sync.Pool{New: func() any { return &subjectMaker{mac: hmac.New(sha256.New, key)} }}}
}

// newLedgerSecrets returns the secrets of a host.
func newLedgerSecrets(keys [][]byte) []ledgerSecret {
	secrets := make([]ledgerSecret, len(keys))
	for i, key := range keys {
		secrets[i] = newLedgerSecret(key)
	}
	return secrets
}

// shortLedgerSecret returns the place of the first secret of a host that is too
// short, and what to say of it; false: there is none.
func shortLedgerSecret(keys [][]byte) (i int, why string, found bool) {
	for i, key := range keys {
		if len(key) < minLedgerSecret {
			return i, fmt.Sprintf("has %d bytes; give at least %d bytes from a random source, and keep them for good", len(key), minLedgerSecret), true
		}
	}
	return 0, "", false
}

// subject returns the subject of the entries of a number in E.164.
func (s *ledgerSecret) subject(account uuid.UUID, number string) (subject [32]byte) {
	m := s.makers.Get().(*subjectMaker) //nolint:forcetypeassert // nothing else is in the pool
	defer s.makers.Put(m)
	m.mac.Reset()
	m.text = append(append(m.text[:0], account[:]...), number...)
	m.mac.Write(m.text)
	m.text = m.mac.Sum(m.text[:0])
	return [32]byte(m.text)
}

// settingDoNotCall is the name of the setting of an account that has a ledger. It
// is stored before the first entry, so an account without it has none.
const settingDoNotCall = "do_not_call"

// A ledgerSetting is the value of settingDoNotCall.
type ledgerSetting struct {
	Secret       []byte   `json:"secret,omitempty"` // nil: the host has given its own from the start
	Fingerprints []string `json:"fingerprints"`     // of every secret that made an entry
}

// ledgerSetting returns the setting; nil: the account has no ledger.
func (a *AccountRecord) ledgerSetting() (*ledgerSetting, error) {
	return settingOf(a, settingDoNotCall, parseLedgerSetting)
}

func parseLedgerSetting(text string) (*ledgerSetting, error) {
	setting := new(ledgerSetting)
	if err := json.Unmarshal([]byte(text), setting); err != nil {
		return nil, errors.New("the stored setting " + settingDoNotCall + " cannot be read") // err could have a part of the secret
	}
	return setting, nil
}

// errLedgerSecret: entries would be missed without the secret.
var errLedgerSecret = errors.New("a secret of the do-not-call ledger is missing")

// ledgers opens the ledgers of accounts.
type ledgers struct {
	store   Store
	clock   clock
	secrets []ledgerSecret               // of the host; nil: each account has its own
	known   *memo[string, ledgerSecrets] // by setting
}

// ledgerSecrets are all secrets of an account.
type ledgerSecrets struct {
	all   []ledgerSecret // new entries are made with the first
	ready bool           // the setting names the first, so that it may make entries
}

func newLedgers(store Store, clock clock, secrets [][]byte) ledgers {
	return ledgers{store, clock, newLedgerSecrets(secrets), new(memo[string, ledgerSecrets])}
}

// open returns the ledger of an account, to look into it; nil: it is empty. It
// fails where a secret is missing that made an entry.
func (s *ledgers) open(account *AccountRecord) (*ledger, error) {
	text, ok := account.Settings[settingDoNotCall]
	if !ok {
		return nil, nil
	}
	secrets, err := s.known.read(text, s.secretsOf)
	if err != nil {
		return nil, fmt.Errorf("%w (account %s)", err, account.ID)
	}
	return &ledger{store: s.store, account: account.ID, secrets: secrets.all}, nil
}

// isReady reports whether entries can be made in the ledger of an account as its
// settings are.
func (s *ledgers) isReady(account *AccountRecord) bool {
	secrets, err := setting(s.known, account, settingDoNotCall, s.secretsOf)
	return err == nil && secrets.ready
}

// secretsOf returns the secrets of a ledger with that setting.
func (s *ledgers) secretsOf(text string) (secrets ledgerSecrets, err error) {
	setting, err := parseLedgerSetting(text)
	if err != nil {
		return secrets, err
	}
	secrets.all = slices.Clone(s.secrets)
	if setting.Secret != nil {
		secrets.all = append(secrets.all, newLedgerSecret(setting.Secret))
	}
	for _, fingerprint := range setting.Fingerprints {
		if !slices.ContainsFunc(secrets.all, func(s ledgerSecret) bool { return s.fingerprint == fingerprint }) {
			return secrets, fmt.Errorf("%w: that with the fingerprint %s; give it in DoNotCallSecrets", errLedgerSecret, fingerprint)
		}
	}
	secrets.ready = len(secrets.all) > 0 && slices.Contains(setting.Fingerprints, secrets.all[0].fingerprint)
	return secrets, nil
}

// prepare makes the ledger of an account ready to take entries, and returns the
// account as it is then. Where the setting does not have the secret that makes the
// entries, it stores the next one. ErrStale: another setting came first.
func (s *ledgers) prepare(ctx context.Context, account *AccountRecord) (*AccountRecord, error) {
	if s.isReady(account) {
		return account, nil
	}
	if _, err := s.open(account); err != nil {
		return nil, err
	}
	setting, err := account.ledgerSetting()
	if err != nil {
		return nil, err
	}
	if setting == nil {
		setting = new(ledgerSetting)
	}
	var first ledgerSecret
	switch {
	case len(s.secrets) > 0:
		first = s.secrets[0]
	case setting.Secret != nil:
		first = newLedgerSecret(setting.Secret)
	default:
		setting.Secret = make([]byte, minLedgerSecret)
		rand.Read(setting.Secret) // never fails: it ends the program first
		first = newLedgerSecret(setting.Secret)
	}
	setting.Fingerprints = append(setting.Fingerprints, first.fingerprint)
	value, err := json.Marshal(setting)
	if err != nil {
		return nil, err
	}
	now, err := s.clock.read()
	if err != nil {
		return nil, err
	}
	next := *account
	next.SettingsVersion++
	next.Settings = maps.Clone(account.Settings)
	if next.Settings == nil {
		next.Settings = make(map[string]string)
	}
	next.Settings[settingDoNotCall] = string(value)
	_, err = s.store.AddToDirectory(ctx, Directory{Settings: []SettingRecord{{
		AccountID: account.ID, Version: next.SettingsVersion, Name: settingDoNotCall, Value: string(value), At: now, Actor: Actor{Kind: ActorSystem},
	}}})
	if errors.Is(err, ErrExists) {
		err = ErrStale
	}
	if err != nil {
		return nil, err
	}
	return &next, nil
}

// CheckDoNotCall reports whether every secret that the do-not-call ledgers of the
// store need is there. Call it when the program starts: without a secret, calls
// that need the ledger of an account fail. It needs no API key. It reads every
// account once.
//
// Its error is a CodeServerError. Its cause names the accounts, up to ten, and
// the fingerprints of the missing secrets.
func (s *Service) CheckDoNotCall(ctx context.Context) error {
	const named = 10
	var missing []error
	for a, err := range allAccounts(ctx, s.store) {
		if err != nil {
			return err
		}
		account, err := s.store.FindAccount(ctx, a.ID)
		if err != nil {
			return newServerError(err)
		}
		if _, err := s.ledgers.open(account); err != nil {
			missing = append(missing, err)
		}
		if len(missing) == named {
			break
		}
	}
	if missing != nil {
		return newServerError(errors.Join(missing...))
	}
	return nil
}
