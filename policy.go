package contacts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// A DuplicatePolicy is an account's rule for a contact whose match key another
// live contact has. An external id is unique under every policy. The zero value
// allows all other duplicates, as the documented call does.
type DuplicatePolicy struct {
	Action DuplicateAction `json:"action,omitempty"` // "": DuplicateAllow

	// Keys are the kinds of match keys that must be unique, beside KeyExternalID.
	// Families share phone numbers, so those are unique only if KeyPhoneNumber is
	// named. With DuplicateAllow, Keys are not used. nil: KeyEmail; empty and not
	// nil: none.
	Keys []KeyKind `json:"keys,omitzero"`

	// Mode and TagsMode say how DuplicateUpsert changes a contact.
	Mode     UpsertMode `json:"mode,omitempty"`      // "": UpsertFill
	TagsMode TagsMode   `json:"tags_mode,omitempty"` // "": TagsAdd

	// PhoneForms: a contact also has a phone number if it has an equivalent form of
	// it, by [PhoneForms]. That holds where phone numbers must be unique, and for
	// every upsert that finds contacts by them. Nothing that is stored is rewritten: an
	// upsert adds the form that it was given. False: a number matches itself alone.
	PhoneForms bool `json:"phone_forms,omitempty"`
}

// A DuplicateAction says what happens to a create whose match key is taken.
type DuplicateAction string

// The actions.
const (
	DuplicateAllow  DuplicateAction = "allow"  // it is stored
	DuplicateReject DuplicateAction = "reject" // CodeDuplicateContact

	// The one contact that has the key is returned as it is. It needs
	// Options.ReadPermission too, else it is CodeDuplicateContact. More than one are
	// CodeAmbiguousMatch.
	DuplicateReturnExisting DuplicateAction = "return_existing"

	// The one contact that has the key is changed as [Service.UpsertContact] would.
	// It needs Options.WritePermission too, else it is CodeDuplicateContact. More than
	// one are CodeAmbiguousMatch.
	DuplicateUpsert DuplicateAction = "upsert"
)

// duplicateActions are all actions.
var duplicateActions = [...]DuplicateAction{DuplicateAllow, DuplicateReject, DuplicateReturnExisting, DuplicateUpsert}

// unique reports whether the policy makes keys of that kind unique.
func (p *DuplicatePolicy) unique(kind KeyKind) bool {
	switch {
	case kind == KeyExternalID:
		return true
	case p.Action == "" || p.Action == DuplicateAllow:
		return false
	case p.Keys == nil:
		return kind == KeyEmail
	default:
		return slices.Contains(p.Keys, kind)
	}
}

// uniqueKinds returns the kinds by which an upsert finds a contact if it names
// none: those that are unique, or all if the policy allows duplicates.
func (p *DuplicatePolicy) uniqueKinds() (kinds []KeyKind) {
	if p.Action == "" || p.Action == DuplicateAllow {
		return keyKinds[:]
	}
	for _, kind := range keyKinds {
		if p.unique(kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// withForms returns the keys and, after each phone number, the equivalent forms of it
// that are the same key under the policy.
func (p *DuplicatePolicy) withForms(keys []MatchKey) []MatchKey {
	if !p.PhoneForms {
		return keys
	}
	all := make([]MatchKey, 0, len(keys)+1)
	for _, k := range keys {
		all = append(all, k)
		if k.Kind != KeyPhoneNumber {
			continue
		}
		for _, form := range PhoneForms(k.Value)[1:] {
			same := MatchKey{k.Kind, form.Number}
			if !slices.Contains(keys, same) && !slices.Contains(all, same) {
				all = append(all, same)
			}
		}
	}
	return all
}

// check adds what is wrong with the policy.
func (p *DuplicatePolicy) check(bad *problems) {
	if p.Action != "" && !slices.Contains(duplicateActions[:], p.Action) {
		bad.add("action", FieldNotAllowed, fmt.Sprintf("must be one of %s, %s, %s and %s", DuplicateAllow, DuplicateReject, DuplicateReturnExisting, DuplicateUpsert))
	}
	checkKinds("keys", p.Keys, bad)
	checkModes(p.Mode, p.TagsMode, bad)
}

// matching returns how a create changes the contact that it matches; nil: it does
// not.
func (c *call) matching(p *DuplicatePolicy) *matching {
	switch p.Action {
	case DuplicateReturnExisting:
		return &matching{needs: c.readPermission, leaves: true}
	case DuplicateUpsert:
		return &matching{Mode: p.Mode, TagsMode: p.TagsMode, needs: c.writePermission}
	default:
		return nil
	}
}

// checkKinds checks a list of kinds of match keys.
func checkKinds(field string, kinds []KeyKind, bad *problems) {
	for i, kind := range kinds {
		if checkKind(element(field, i), kind, bad) && slices.Contains(kinds[:i], kind) {
			bad.add(element(field, i), FieldDuplicate, "is given twice")
		}
	}
}

// checkKind checks a kind of match keys, and reports whether there is such a kind.
func checkKind(field string, kind KeyKind, bad *problems) bool {
	known := slices.Contains(keyKinds[:], kind)
	if !known {
		bad.add(field, FieldNotAllowed, fmt.Sprintf("must be one of %s, %s and %s", KeyExternalID, KeyEmail, KeyPhoneNumber))
	}
	return known
}

// settingDuplicatePolicy is the name of the setting with the policy.
const settingDuplicatePolicy = "duplicate_policy"

// duplicatePolicy returns the policy of the account.
func (a *AccountRecord) duplicatePolicy() (DuplicatePolicy, error) {
	return settingOf(a, settingDuplicatePolicy, parseDuplicatePolicy)
}

func parseDuplicatePolicy(text string) (p DuplicatePolicy, err error) {
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("the stored duplicate policy: %w", err)
	}
	return p, nil
}

// SetDuplicatePolicy sets the policy of an account. It holds for every write that
// begins after SetDuplicatePolicy has returned, in every process on the same
// store. It looks at no stored contact: duplicates from before stay, and can be
// changed in their other fields.
//
// On PostgreSQL, a create without claims that began before may be stored after.
//
// Its errors: CodeValidationError for an unknown action, kind or mode, for a kind
// given twice, or for TagsReplace without UpsertOverwrite; CodeNotFound for an unknown
// account; CodeServerError.
func (a *Admin) SetDuplicatePolicy(ctx context.Context, accountID uuid.UUID, p DuplicatePolicy) error {
	var bad problems
	p.check(&bad)
	if err := bad.err(); err != nil {
		return err
	}
	value, err := json.Marshal(p)
	if err != nil {
		return newServerError(err)
	}
	return a.set(ctx, SettingRecord{AccountID: accountID, Name: settingDuplicatePolicy, Value: string(value)})
}

// DuplicatePolicy returns the policy that an account has now. Its errors:
// CodeNotFound for an unknown account, CodeServerError.
func (a *Admin) DuplicatePolicy(ctx context.Context, accountID uuid.UUID) (DuplicatePolicy, error) {
	return settingNow(ctx, a, accountID, (*AccountRecord).duplicatePolicy)
}

// settingNow returns a setting that an account has now.
func settingNow[T any](ctx context.Context, a *Admin, accountID uuid.UUID, of func(*AccountRecord) (T, error)) (value T, err error) {
	account, err := a.account(ctx, accountID)
	if err != nil {
		return value, err
	}
	if value, err = of(account); err != nil {
		return value, newServerError(err)
	}
	return value, nil
}

// account returns an account with its settings.
func (a *Admin) account(ctx context.Context, id uuid.UUID) (*AccountRecord, error) {
	if a.store == nil {
		return nil, noStore()
	}
	account, err := a.store.FindAccount(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, noSuch("account")
	case err != nil:
		return nil, newServerError(err)
	}
	return account, nil
}

// set stores the next version of the account's settings. If another setting came
// first, it takes the version after that one.
func (a *Admin) set(ctx context.Context, setting SettingRecord) (err error) {
	if setting.At, err = a.now(); err != nil {
		return err
	}
	if setting.Actor, err = a.who(); err != nil {
		return err
	}
	for try := 1; ; try++ {
		account, err := a.account(ctx, setting.AccountID)
		if err != nil {
			return err
		}
		setting.Version = account.SettingsVersion + 1
		_, err = a.store.AddToDirectory(ctx, Directory{Settings: []SettingRecord{setting}})
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrExists) && try < maxTries:
		default:
			return newServerError(err)
		}
	}
}
