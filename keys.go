package contacts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// A Permission allows a key one kind of operation. Hosts may have their own, which
// AdminOptions.Permissions and Options.Permissions declare.
type Permission string

// The permissions that the default options ask for.
const (
	PermissionReadContacts  Permission = "can_read_contacts"
	PermissionWriteContacts Permission = "can_write_contacts"
	PermissionReadEvents    Permission = "can_read_events"

	PermissionManageDoNotCall Permission = "can_manage_do_not_call"
)

// checkPermission says what is wrong with a permission; "": nothing. One that is
// neither of this package nor declared is misspelt, and no key would ever have it.
func checkPermission(p Permission, declared []Permission) string {
	known := append([]Permission{PermissionReadContacts, PermissionWriteContacts, PermissionReadEvents, PermissionManageDoNotCall}, declared...)
	if slices.Contains(known, p) {
		return ""
	}
	var b strings.Builder
	b.WriteString("is no permission; give one of ")
	for _, k := range known {
		b.WriteString(string(k))
		b.WriteString(", ")
	}
	b.WriteString("or declare your own in Permissions of the options")
	return b.String()
}

// An APIKey is an API key without its secret, which is kept nowhere.
type APIKey struct {
	ID          uuid.UUID    `json:"id"`
	AccountID   uuid.UUID    `json:"account_id"`
	Name        string       `json:"name"`
	Permissions []Permission `json:"permissions"`
	TeamIDs     []int64      `json:"team_ids,omitempty"` // the teams it may access, beside those of AllTeams
	AllTeams    bool         `json:"all_teams"`          // every team of the account, later ones too
	CreatedAt   time.Time    `json:"created_at"`
	ExpiresAt   time.Time    `json:"expires_at,omitzero"` // zero: never
	RevokedAt   time.Time    `json:"revoked_at,omitzero"` // zero: not revoked
}

// A Principal is who a call acts for. An [Authenticator] returns it for a key.
type Principal struct {
	AccountID   uuid.UUID // must be an account of the store
	KeyID       uuid.UUID // zero where the host's authenticator has none
	Permissions []Permission
	TeamIDs     []int64 // the teams it may access, beside those of AllTeams
	AllTeams    bool    // every team of the account

	keyName string // as it came with the key
}

// actor returns the principal as an actor.
func (p *Principal) actor() Actor { return Actor{Kind: ActorKey, KeyID: p.KeyID, Name: p.keyName} }

// clone returns a copy that the host may change. A store shares what it returns of a
// key.
func (p *Principal) clone() *Principal {
	c := *p
	c.Permissions, c.TeamIDs = slices.Clone(p.Permissions), slices.Clone(p.TeamIDs)
	return &c
}

// Can reports whether the principal has the permission.
func (p *Principal) Can(perm Permission) bool { return slices.Contains(p.Permissions, perm) }

// CanAccessTeam reports whether the principal may access the team. Every key of
// the account may access what is in no team, id 0.
func (p *Principal) CanAccessTeam(id int64) bool {
	return id == 0 || p.AllTeams || slices.Contains(p.TeamIDs, id)
}

// An Authenticator turns a key into the principal it stands for. A [Service]
// calls it once for every call, with a key that is not blank, from many
// goroutines at once. The Service does not change what it returns. [OperationOf]
// says what the call is for.
//
// For a key that it does not accept it returns [ErrInvalidKey], wrapped as it
// likes. Any other [*Error] reaches the caller, with all its fields. An error of
// CodeServerError, without a code, or of another type becomes the cause of a server
// error. No error may hold the key.
type Authenticator interface {
	Authenticate(ctx context.Context, key string) (*Principal, error)
}

// KeyAuthenticator returns the Authenticator that a [Service] has by default, for
// a host that wraps it. It accepts the API keys of the store. It asks the store
// every time, so a revocation holds for the next call. Where Options.Authenticator is nil,
// a CreateContact may leave the question to a store that is a [KeyJudge], which saves a
// trip. The host may change the principals that it returns, and keep them. A nil now
// means time.Now.
func KeyAuthenticator(store Store, now func() time.Time) Authenticator {
	if now == nil {
		now = time.Now
	}
	return &storeKeys{store: store, now: now}
}

// storeKeys are the API keys of the store.
type storeKeys struct {
	store Store
	now   func() time.Time

	remembers bool // the store is a KeyJudge
	mu        sync.Mutex
	known     map[[32]byte]*KeyRecord // by hash, as they were when they were looked up last
}

// maxKnownKeys bounds the keys that are remembered. One takes some 500 bytes.
const maxKnownKeys = 10_000

// newStoreKeys returns the keys of a Service. Those of a KeyAuthenticator remember
// nothing: a key must pass the host's own rules each time.
func newStoreKeys(store Store, now func() time.Time) *storeKeys {
	_, judges := store.(KeyJudge)
	return &storeKeys{store: store, now: now, remembers: judges}
}

// recall returns what was last known of a key that was valid then; nil: nothing.
// The key may have been revoked since.
func (a *storeKeys) recall(key string) *KeyRecord {
	if !a.remembers {
		return nil
	}
	hash, ok := hashKey(key)
	if !ok {
		return nil
	}
	a.mu.Lock()
	k := a.known[hash]
	a.mu.Unlock()
	if k == nil || a.ended(k) {
		return nil
	}
	return k
}

// forget lets go of what is known of a key.
func (a *storeKeys) forget(key string) {
	if hash, ok := hashKey(key); ok {
		a.mu.Lock()
		delete(a.known, hash)
		a.mu.Unlock()
	}
}

func (a *storeKeys) remember(hash [32]byte, k *KeyRecord) {
	if !a.remembers {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil || len(a.known) >= maxKnownKeys {
		a.known = make(map[[32]byte]*KeyRecord)
	}
	a.known[hash] = k
}

// ended reports whether the key has ended by itself.
func (a *storeKeys) ended(k *KeyRecord) bool {
	return !k.ExpiresAt.IsZero() && !a.now().Before(k.ExpiresAt)
}

// Authenticate implements [Authenticator], for a host.
func (a *storeKeys) Authenticate(ctx context.Context, key string) (*Principal, error) {
	k, err := a.find(ctx, key)
	if err != nil {
		return nil, err
	}
	if q := questionOf(ctx); q != nil {
		q.account.Store(k.Account) // a principal that the host keeps must not have it, because settings change
	}
	p := principalOf(k)
	return p.clone(), nil
}

// find returns the record of a valid key.
func (a *storeKeys) find(ctx context.Context, key string) (*KeyRecord, error) {
	hash, ok := hashKey(key)
	if !ok {
		return nil, ErrInvalidKey
	}
	if a.store == nil {
		return nil, errNilStore
	}
	k, err := a.store.FindKey(ctx, hash)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, ErrInvalidKey
	case err != nil:
		return nil, err
	case a.ended(k) || !k.RevokedAt.IsZero() || !k.Account.DisabledAt.IsZero():
		return nil, ErrInvalidKey
	}
	a.remember(hash, k)
	return k, nil
}

func principalOf(k *KeyRecord) Principal {
	return Principal{
		AccountID:   k.AccountID,
		KeyID:       k.ID,
		Permissions: k.Permissions,
		TeamIDs:     k.TeamIDs,
		AllTeams:    k.AllTeams,
		keyName:     k.Name,
	}
}

// The form of a key is <prefix>_<256 random bits><CRC-32 of all before it>. Both
// numbers are in base 62 and padded to a fixed width. The checksum refuses a typo
// without asking the store.
const (
	defaultKeyPrefix  = "ck"
	maxKeyPrefix      = 16
	keyRandomDigits   = 43 // 62^43 > 2^256
	keyChecksumDigits = 6  // 62^6 > 2^32
)

// base62 has its digits in the order of [big.Int.Text].
const base62 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// newKey returns a new secret with the prefix.
func newKey(prefix string) string {
	var random [32]byte
	rand.Read(random[:]) // never fails: it ends the program first
	digits := new(big.Int).SetBytes(random[:]).Text(62)
	body := prefix + "_" + strings.Repeat("0", keyRandomDigits-len(digits)) + digits
	sum := keyChecksum([]byte(body))
	return body + string(sum[:])
}

// hashKey returns the SHA-256 of a well-formed key, and false for any other
// text.
func hashKey(key string) (hash [32]byte, ok bool) {
	i := strings.IndexByte(key, '_')
	if i < 0 || len(key)-i-1 != keyRandomDigits+keyChecksumDigits || !isKeyPrefix(key[:i]) {
		return hash, false
	}
	for _, c := range []byte(key[i+1:]) {
		if !isAlphanumeric(c) {
			return hash, false
		}
	}
	text := []byte(key)
	body, sum := text[:len(text)-keyChecksumDigits], text[len(text)-keyChecksumDigits:]
	if keyChecksum(body) != [keyChecksumDigits]byte(sum) {
		return hash, false
	}
	return sha256.Sum256(text), true
}

// holdsKey reports whether a part of the text may be a key, or most of one.
// Nothing else has as many letters and digits in a row.
func holdsKey(text string) bool {
	run := 0
	for _, c := range []byte(text) {
		if run++; !isAlphanumeric(c) {
			run = 0
		}
		if run == keyRandomDigits {
			return true
		}
	}
	return false
}

func keyChecksum(body []byte) (sum [keyChecksumDigits]byte) {
	n := crc32.ChecksumIEEE(body)
	for i := len(sum) - 1; i >= 0; i-- {
		sum[i] = base62[n%62]
		n /= 62
	}
	return sum
}

// isKeyPrefix reports whether s is 1 to 16 lower-case letters and digits.
func isKeyPrefix(s string) bool {
	if s == "" || len(s) > maxKeyPrefix {
		return false
	}
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return true
}
