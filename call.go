package contacts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"
)

// An Operation names what a call of a [Service] does: in logs, for observers, for
// [OperationOf] and for [Service.Authorize].
type Operation string

// The operations. Each needs the permission beside it, of [Options].
const (
	OpCreateContact  Operation = "create_contact"  // CreatePermission
	OpCreateContacts Operation = "create_contacts" // CreatePermission
	OpGetContact     Operation = "get_contact"     // ReadPermission
	OpListContacts   Operation = "list_contacts"   // ReadPermission
	OpFindDuplicates Operation = "find_duplicates" // ReadPermission
	OpUpdateContact  Operation = "update_contact"  // WritePermission
	OpReplaceContact Operation = "replace_contact" // WritePermission
	OpDeleteContact  Operation = "delete_contact"  // WritePermission
	OpRestoreContact Operation = "restore_contact" // WritePermission
	OpUpsertContact  Operation = "upsert_contact"  // CreatePermission and WritePermission
	OpUpsertContacts Operation = "upsert_contacts" // CreatePermission and WritePermission

	OpListEvents     Operation = "list_events"       // EventsPermission
	OpListHistory    Operation = "list_history"      // EventsPermission
	OpGetContactAsOf Operation = "get_contact_as_of" // ReadPermission and EventsPermission

	OpCanCall         Operation = "can_call"           // ReadPermission
	OpCanCallMany     Operation = "can_call_many"      // ReadPermission
	OpDoNotCallStatus Operation = "do_not_call_status" // ReadPermission
	OpBlockCalls      Operation = "block_calls"        // WritePermission
	OpBlockCallsBatch Operation = "block_calls_batch"  // DoNotCallPermission
	OpGrantCalls      Operation = "grant_calls"        // DoNotCallPermission
	OpListDoNotCall   Operation = "list_do_not_call"   // DoNotCallPermission
)

// OperationOf returns the operation of the call for which a [Service] asks the
// [Authenticator] of Options; "" for any other context. Safe for concurrent use.
func OperationOf(ctx context.Context) Operation {
	if q := questionOf(ctx); q != nil {
		return q.op
	}
	return ""
}

// A question is one to the Authenticator of the host.
type question struct {
	op      Operation
	account atomic.Pointer[AccountRecord] // of the key, if it asked a KeyAuthenticator in turn; nil: it did not
}

// questionKey is the key of the question in the context of an Authenticator.
type questionKey struct{}

// questionOf returns the question of the context; nil: it has none.
func questionOf(ctx context.Context) *question {
	q, _ := ctx.Value(questionKey{}).(*question)
	return q
}

// permissions returns what a key needs for the operation; false for an unknown
// one.
func (s *Service) permissions(op Operation) (all [2]Permission, known bool) {
	switch op {
	case OpCreateContact, OpCreateContacts:
		all[0] = s.createPermission
	case OpGetContact, OpListContacts, OpFindDuplicates, OpCanCall, OpCanCallMany, OpDoNotCallStatus:
		all[0] = s.readPermission
	case OpUpdateContact, OpReplaceContact, OpDeleteContact, OpRestoreContact, OpBlockCalls:
		all[0] = s.writePermission
	case OpUpsertContact, OpUpsertContacts:
		all[0], all[1] = s.createPermission, s.writePermission
	case OpListEvents, OpListHistory:
		all[0] = s.eventsPermission
	case OpGetContactAsOf:
		all[0], all[1] = s.readPermission, s.eventsPermission
	case OpBlockCallsBatch, OpGrantCalls, OpListDoNotCall:
		all[0] = s.manageDoNotCall
	default:
		return all, false
	}
	return all, true
}

// Authorize returns the principal of a key that may do op. It makes the first
// checks of every call, for a server that has to judge a key before it refuses
// a request for a reason of its own. The principal belongs to the caller.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeServerError. An unknown operation is
// CodePermissionDenied.
func (s *Service) Authorize(ctx context.Context, key string, op Operation) (*Principal, error) {
	c := &call{Service: s, op: op, key: key}
	err := c.authenticate(ctx)
	c.logFaults(ctx)
	if err != nil {
		return nil, err
	}
	return c.principal.clone(), nil
}

// A call is one use of a Service: who calls, and for what. Every method that
// takes a key, except Authorize, begins one and ends it.
type call struct {
	*Service
	op        Operation
	key       string // is cut out of causes before they are logged
	principal *Principal
	self      Principal      // the principal, where the Service knows the key itself
	one       *single        // whose call it is; nil: it may be about many contacts
	recalled  bool           // the principal may be, and after begin is, what was last known of the key; then the key is still to be judged
	account   *AccountRecord // of the principal; nil until it is needed
	batch     uuid.UUID      // of the events of the call; zero: it has changed one contact at most
	many      bool           // it is about more than one contact
	seen      *overlay       // what it would have stored so far; nil: it stores as it goes
	markLast  bool           // its contacts get their marks at its end
	shared    sharedContexts // of the contacts that its own ones match
	others    map[string]int // how many contacts its errors do not name, by claims and those that they name
	bad       problems       // what is wrong with the input
	faults    []error        // the causes of server errors
	tries     int            // how often its write was made
	observed  *observation   // nil: by nobody
}

// begin begins a call about so many items, and checks the key. It returns the
// context for the rest of the call. The call has to be ended, with an error too:
//
//	ctx, c, err := s.begin(ctx, key, OpGetContact, 1)
//	defer c.end(ctx, &err)
func (s *Service) begin(ctx context.Context, key string, op Operation, items int) (context.Context, *call, error) {
	return (&call{Service: s, op: op, key: key}).begin(ctx, items)
}

// beginOne is begin for a call that creates one contact. recalled is that of the call.
func (s *Service) beginOne(ctx context.Context, key string, op Operation, recalled bool) (context.Context, *call, error) {
	one, ok := s.singles.Get().(*single)
	if !ok {
		one = new(single)
	}
	one.call = call{Service: s, op: op, key: key, recalled: recalled, one: one}
	return one.call.begin(ctx, 1)
}

func (c *call) begin(ctx context.Context, items int) (context.Context, *call, error) {
	if c.observer != nil {
		return c.beginObserved(ctx, items)
	}
	return ctx, c, c.admit(ctx)
}

// admit checks the key, or goes by what is known of it.
func (c *call) admit(ctx context.Context) error {
	if c.recalled {
		if c.recalled = c.recall(); c.recalled {
			return nil
		}
	}
	return c.authenticate(ctx)
}

// recall finds the principal by what was last known of the key, if it had the
// permission then. The call goes on as if the key were still valid. Its write judges
// the key, and confirm does, where there is no write.
func (c *call) recall() bool {
	if c.keys == nil {
		return false
	}
	k := c.keys.recall(c.key)
	return k != nil && c.permitKey(k) == nil
}

// confirm checks the key of a call that nothing has judged since it was recalled.
func (c *call) confirm(ctx context.Context) error {
	if !c.recalled {
		return nil
	}
	c.recalled = false
	c.keys.forget(c.key)
	return c.authenticate(ctx)
}

// authenticate finds the principal of the key and checks its permission.
func (c *call) authenticate(ctx context.Context) error {
	c.observed.account(uuid.Nil)
	if strings.TrimSpace(c.key) == "" {
		return newError(ErrAuthenticationRequired)
	}
	if c.keys != nil {
		k, err := c.keys.find(ctx, c.key)
		if err != nil {
			return c.authenticationError(err)
		}
		return c.permitKey(k)
	}
	q := &question{op: c.op}
	p, err := c.auth.Authenticate(context.WithValue(ctx, questionKey{}, q), c.key)
	switch {
	case err != nil:
		return c.authenticationError(err)
	case p == nil || p.AccountID == uuid.Nil:
		return c.fault(errors.New("the authenticator returned no account and no error"))
	}
	return c.permit(p, q.account.Load())
}

// permitKey is permit for a key that the Service knows itself.
func (c *call) permitKey(k *KeyRecord) error {
	c.self = principalOf(k)
	return c.permit(&c.self, k.Account)
}

// permit makes p the principal of the call, if it has the permission. The account came
// with its key; nil: it is not known.
func (c *call) permit(p *Principal, account *AccountRecord) error {
	c.observed.account(p.AccountID)
	need, known := c.permissions(c.op)
	if !known {
		return newError(ErrPermissionDenied)
	}
	for _, permission := range need {
		if permission != "" && !p.Can(permission) {
			e := newError(ErrPermissionDenied)
			e.Message = "the API key lacks the permission " + string(permission)
			return e
		}
	}
	c.principal = p
	if account != nil && account.ID == p.AccountID {
		c.account = account
	}
	return nil
}

func (c *call) authenticationError(err error) error {
	e, _ := errors.AsType[*Error](err)
	switch {
	case e == nil || e.Code == "" || e.Code == CodeServerError:
		return c.fault(err)
	case e.Code == CodeInvalidKey:
		return newError(ErrInvalidKey) // the same words for every reason
	default:
		shown := *e
		return &shown
	}
}

// end ends the call, of which err is the error. It has to be deferred.
func (c *call) end(ctx context.Context, err *error) {
	c.logFaults(ctx)
	if c.observed != nil {
		if p := recover(); p != nil {
			c.endObservation(ctx, CodeServerError)
			panic(p) // goes on as if it had not been seen
		}
		c.endObservation(ctx, CodeOf(*err))
	}
	if one, pool := c.one, c.singles; one != nil {
		*one = single{}
		pool.Put(one)
	}
}

// logFaults logs each server error of the call, with the cause that a client must
// not see.
func (c *call) logFaults(ctx context.Context) {
	for _, cause := range c.faults {
		level := slog.LevelError
		if ctx.Err() != nil {
			level = slog.LevelInfo // the caller gave up: that is no fault
		}
		c.log.LogAttrs(ctx, level, "contacts: server error",
			slog.String("operation", string(c.op)),
			slog.String("cause", strings.ReplaceAll(fmt.Sprint(cause), c.key, "[key]")))
	}
}

// fault returns a server error, which end logs with its cause.
func (c *call) fault(cause error) *Error {
	c.note(cause)
	return newServerError(cause)
}

// note keeps the cause of one or more server errors for the log. A batch may have
// a fault for each contact; the first few say enough.
func (c *call) note(cause error) {
	const maxFaults = 10
	c.observed.fault(cause)
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, cause)
	}
}

// maxStale bounds how often a batch is sent because the settings of the account
// changed meanwhile. The host changes settings, so once is rare.
const maxStale = 3

// A write is a batch of mutations of at most one contact each. What they claim and
// what they record is decided when they are sent.
type write struct {
	MutationBatch
	stored []*ContactRecord // the contact of each mutation as it was; nil: all are new
	on     [][]MatchKey     // what each claims beside the keys that must be unique; nil: none does
}

// add adds a step. A store sees its contact with that version.
func (w *write) add(s step, version int64) {
	m := Mutation{Idempotency: s.once}
	if s.after != nil {
		s.change[0] = ContactChange{ID: s.after.Contact.ID, Version: version, Record: s.after}
		m.Contacts = s.change[:]
	}
	w.Mutations = append(w.Mutations, m)
	w.stored, w.on = append(w.stored, s.before), append(w.on, s.on)
}

// before returns the contact of a mutation as it was; nil: it is new.
func (w *write) before(i int) *ContactRecord {
	if w.stored == nil {
		return nil
	}
	return w.stored[i]
}

// part returns the mutations at some places, with all that belongs to them.
func (w *write) part(places []int) write {
	part := write{MutationBatch: w.MutationBatch}
	part.Mutations = nil
	for _, i := range places {
		part.Mutations = append(part.Mutations, w.Mutations[i])
		if w.stored != nil {
			part.stored = append(part.stored, w.stored[i])
		}
		if w.on != nil {
			part.on = append(part.on, w.on[i])
		}
	}
	return part
}

// apply judges and stores mutations of the principal's account. Mutations that
// were decided by old settings are decided again and sent again. The error is
// about the whole batch.
func (c *call) apply(ctx context.Context, batch write) ([]MutationOutcome, error) {
	outcomes, err := c.decide(ctx, batch)
	for try := 1; err == nil && try < maxStale; try++ {
		stale := staleOnes(outcomes)
		if len(stale) == 0 {
			break
		}
		c.account = nil
		c.tries++
		if batch.AllOrNothing { // then nothing was stored
			outcomes, err = c.decide(ctx, batch)
			continue
		}
		again := batch.part(stale)
		var more []MutationOutcome
		if more, err = c.decide(ctx, again); err != nil {
			// The others have their outcomes, so the error is that of these.
			for _, i := range stale {
				outcomes[i].Err = err
			}
			return outcomes, nil
		}
		for n, i := range stale {
			outcomes[i] = outcomeAt(more, n)
			batch.Mutations[i].Claims = again.Mutations[n].Claims
		}
	}
	return outcomes, err
}

// policy returns the duplicate policy of the account.
func (c *call) policy(ctx context.Context) (DuplicatePolicy, error) {
	if err := c.findAccount(ctx); err != nil {
		return DuplicatePolicy{}, err
	}
	return setting(&c.known.policies, c.account, settingDuplicatePolicy, parseDuplicatePolicy)
}

// decide is claim by the policy that the account has.
func (c *call) decide(ctx context.Context, w write) ([]MutationOutcome, error) {
	policy, err := c.policy(ctx)
	if err != nil {
		return nil, err
	}
	return c.claim(ctx, policy, w)
}

// claim decides what the mutations claim, and sends them.
func (c *call) claim(ctx context.Context, policy DuplicatePolicy, w write) ([]MutationOutcome, error) {
	for i := range w.Mutations {
		if len(w.Mutations[i].Contacts) == 0 {
			continue
		}
		var on []MatchKey
		if w.on != nil {
			on = w.on[i]
		}
		w.Mutations[i].Claims = policy.claims(w.Mutations[i].Contacts[0].Record, w.before(i), on)
		w.Mutations[i].Journal = nil
	}
	if err := c.recordEvents(ctx, w); err != nil {
		return nil, err
	}
	return c.send(ctx, w.MutationBatch)
}

// send is one call of the store, with mutations that were decided by the settings
// that policy read. What they ask of the do-not-call ledger becomes a part of them,
// and what was stored gets its marks.
func (c *call) send(ctx context.Context, batch MutationBatch) ([]MutationOutcome, error) {
	batch.DryRun = batch.DryRun || c.dryRun
	var m *marks // nil: there are none, or they come at the end of the call
	var err error
	if c.seen == nil || !batch.DryRun {
		m, err = c.addBlocks(ctx, batch)
	}
	switch {
	case errors.Is(err, ErrStale):
		return slices.Repeat([]MutationOutcome{{Err: err}}, len(batch.Mutations)), nil
	case err != nil:
		return nil, err
	}
	for i := range batch.Mutations {
		m := &batch.Mutations[i]
		m.AccountID, m.Settings = c.principal.AccountID, c.account.SettingsVersion
		if c.recalled {
			m.KeyID = c.principal.KeyID
		}
	}
	c.tries = max(c.tries, 1)
	outcomes, err := c.store.Apply(ctx, batch)
	if err == nil && judged(outcomes) || errors.Is(err, ErrOutcomeUnknown) {
		c.recalled = false
	}
	if err == nil && m != nil {
		m.show(ctx, batch, outcomes)
	}
	return outcomes, err
}

// outcomeAt returns the outcome of the mutation at a place. A store returns none at all
// where every mutation was stored.
func outcomeAt(outcomes []MutationOutcome, place int) (o MutationOutcome) {
	if place < len(outcomes) {
		o = outcomes[place]
	}
	return o
}

// judged reports whether a KeyJudge has judged the key of the mutations, and taken it.
func judged(outcomes []MutationOutcome) bool {
	return !slices.ContainsFunc(outcomes, func(o MutationOutcome) bool {
		return errors.Is(o.Err, ErrStale) || errors.Is(o.Err, ErrNotFound)
	})
}

// errNoAccount is the fault of an Authenticator.
var errNoAccount = errors.New("the principal's account is not in the store; an Authenticator must return one that Admin.CreateAccount made")

// findAccount finds the principal's account, unless it came with the key.
func (c *call) findAccount(ctx context.Context) error {
	if c.account != nil {
		return nil
	}
	account, err := c.store.FindAccount(ctx, c.principal.AccountID)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: %w", errNoAccount, err)
	}
	c.account = account
	return err
}

// checkSettings returns ErrStale if the account has other settings by now than the call
// goes by.
func (c *call) checkSettings(ctx context.Context) error {
	account, err := c.store.FindAccount(ctx, c.principal.AccountID)
	if err == nil && account.SettingsVersion != c.account.SettingsVersion {
		return ErrStale
	}
	return err
}

// retryStale does a step, and a few times more if the settings of the account have
// changed since the step read them.
func (c *call) retryStale(step func() error) error {
	for stale := 1; ; stale++ {
		err := step()
		if !errors.Is(err, ErrStale) || stale == maxStale {
			return err
		}
		c.account = nil
		c.tries++
	}
}

// staleOnes returns the indexes of the mutations that were decided by old
// settings.
func staleOnes(outcomes []MutationOutcome) (stale []int) {
	for i := range outcomes {
		if errors.Is(outcomes[i].Err, ErrStale) {
			stale = append(stale, i)
		}
	}
	return stale
}

// refusal turns the error of an outcome into that of the call.
func (c *call) refusal(err error) error {
	for _, known := range []error{ErrNotFound, ErrConflict, ErrTeamNotFound, ErrIdempotencyConflict, ErrBatchFailed} {
		if errors.Is(err, known) {
			return newError(known)
		}
	}
	return c.fault(err)
}

// find returns a contact that the principal may see, a deleted one too.
func (c *call) find(ctx context.Context, id uuid.UUID) (*ContactRecord, error) {
	record, err := c.store.FindContact(ctx, c.principal.AccountID, id)
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && !c.principal.CanAccessTeam(record.Contact.TeamID):
		if err := c.findAccount(ctx); err != nil { // without it everything is missing
			return nil, c.fault(err)
		}
		return nil, newError(ErrNotFound)
	case err != nil:
		return nil, c.fault(err)
	}
	return record, nil
}

// checkTeam refuses a team that the principal may not access: with
// CodeTeamNotFound if the account has no such team. Whether a team exists that
// it may access is judged by the store, with the write.
func (c *call) checkTeam(ctx context.Context, id int64) error {
	if c.principal.CanAccessTeam(id) {
		return nil
	}
	if err := c.needTeam(ctx, id); err != nil {
		return err
	}
	return newError(ErrTeamAccessDenied)
}

// needTeam refuses a team that the account does not have.
func (c *call) needTeam(ctx context.Context, id int64) error {
	exists, err := teamExists(ctx, c.store, c.principal.AccountID, id)
	switch {
	case err != nil:
		return c.fault(err)
	case !exists:
		return newError(ErrTeamNotFound)
	}
	return nil
}

// teamExists reports whether an account has the team.
func teamExists(ctx context.Context, store Store, accountID uuid.UUID, id int64) (bool, error) {
	d, err := store.ListDirectory(ctx, DirectoryQuery{Kind: DirectoryTeams, AccountID: accountID, AfterTeam: id - 1, Limit: 1})
	return len(d.Teams) > 0 && d.Teams[0].ID == id, err
}

// decode reads a JSON body.
func (c *call) decode(ctx context.Context, b body) error {
	err := b.decode(ctx)
	if ctx.Err() != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.ErrUnexpectedEOF) {
		// ctx was cancelled. It may also be done because of the body: a server ends
		// it when the time to read is over, and when the body is cut off. Both are
		// reported as invalid JSON.
		return c.fault(ctx.Err())
	}
	return err
}

// body returns the body of a create or a change, to be read into what read fills.
func (c *call) body(reader io.Reader, read func(*contactReader)) body {
	return body{reader, c.rules.limits.BodyBytes, &c.bad, func(r *jsonReader) {
		read(&contactReader{jsonReader: r, rules: c.rules})
	}}
}
