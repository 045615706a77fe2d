package contacts

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A Service creates, reads and changes contacts on behalf of API keys. All rules are
// here; the [Store] behind it only keeps what it is given. Its methods may be
// called from many goroutines at once. The zero value is of no use; see [New].
type Service struct {
	store            Store
	auth             Authenticator
	createPermission Permission
	readPermission   Permission
	writePermission  Permission
	rules            rules
	retention        time.Duration // of idempotency keys
	log              *slog.Logger
	now              func() time.Time
}

// New returns a Service on the store, which stays the caller's to close. A nil
// opts means the documented behaviour. An option that cannot be meant is an
// error that says how to fix it.
func New(store Store, opts *Options) (*Service, error) {
	if store == nil {
		return nil, errNilStore
	}
	if opts == nil {
		opts = new(Options)
	}
	limits, err := opts.Limits.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := opts.check(limits); err != nil {
		return nil, err
	}
	s := &Service{
		store:            store,
		auth:             opts.Authenticator,
		createPermission: cmp.Or(opts.CreatePermission, PermissionReadContacts),
		readPermission:   cmp.Or(opts.ReadPermission, PermissionReadContacts),
		writePermission:  cmp.Or(opts.WritePermission, PermissionWriteContacts),
		retention:        cmp.Or(opts.IdempotencyRetention, defaultRetention),
		rules: rules{
			limits:       limits,
			phones:       phoneRules{region: opts.DefaultRegion, validOnly: opts.ValidNumbersOnly},
			statuses:     slices.Clone(opts.Statuses),
			stages:       slices.Clone(opts.Stages),
			phoneTypes:   slices.Clone(opts.PhoneTypes),
			allowUnknown: opts.AllowUnknownFields,
		},
		log: opts.Logger,
		now: opts.Now,
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.auth == nil {
		s.auth = KeyAuthenticator(store, s.now)
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// CreateContact validates and normalises the contact and stores it. When it has
// returned without an error the contact is durable, as far as the store keeps
// anything; with an error nothing was stored, unless it matches
// [ErrOutcomeUnknown].
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeMissingFirstName,
// CodeValidationError, CodeTeamNotFound, CodeTeamAccessDenied,
// CodeIdempotencyConflict, CodeServerError. All wrong fields are reported at
// once.
func (s *Service) CreateContact(ctx context.Context, key string, in CreateContactInput) (*Contact, error) {
	p, err := s.authorise(ctx, key, s.createPermission)
	if err != nil {
		return nil, err
	}
	c, _, err := s.create(ctx, key, p, &in, new(problems))
	return c, err
}

// CreateContactJSON is CreateContact for the documented JSON body, which it
// does not read before the key is accepted. The body is one object of RFC 8259
// with the documented names to the letter; null means absent. The context is
// asked between two reads of the body; a read that blocks is the reader's to end.
//
// Its errors are those of CreateContact and, behind CodePermissionDenied,
// CodeInvalidJSON: a body that is no JSON, has a name twice, or is too large or
// nested too deep. A value of the wrong type and an unknown field are
// CodeValidationError.
func (s *Service) CreateContactJSON(ctx context.Context, key string, body io.Reader) (*Contact, error) {
	c, _, err := s.CreateContactOnceJSON(ctx, key, "", body)
	return c, err
}

// CreateContactOnceJSON is CreateContactJSON with the idempotency key beside the
// body, as an HTTP request has it in a header; see
// [CreateContactInput.IdempotencyKey]. "" leaves it to the body, which must not
// name another one. It reports whether the contact is the result of an earlier
// create, and nothing was stored.
func (s *Service) CreateContactOnceJSON(ctx context.Context, key, idempotencyKey string, body io.Reader) (c *Contact, replayed bool, err error) {
	const doing = "create contact"
	p, err := s.authorise(ctx, key, s.createPermission)
	if err != nil {
		return nil, false, err
	}
	var bad problems
	in := new(CreateContactInput)
	if err := s.decode(ctx, doing, key, body, s.rules.limits.BodyBytes, func(d *decoder) { d.contact(&s.rules, in) }, &bad); err != nil {
		return nil, false, err
	}
	if idempotencyKey != "" {
		if in.IdempotencyKey != "" && in.IdempotencyKey != idempotencyKey {
			bad.add("idempotency_key", FieldInvalid, "must be the one that was given beside the body")
		}
		in.IdempotencyKey = idempotencyKey
	}
	return s.create(ctx, key, p, in, &bad)
}

// decode reads a JSON body of at most limit bytes with read.
func (s *Service) decode(ctx context.Context, doing, key string, body io.Reader, limit int, read func(*decoder), bad *problems) error {
	err := decode(ctx, body, limit, read, bad)
	if ctx.Err() != nil && !errors.Is(err, os.ErrDeadlineExceeded) { // the caller has gone; who is only slow has not
		return s.serverError(ctx, doing, key, ctx.Err())
	}
	return err
}

// GetContact returns a contact of the key's account; it needs
// Options.ReadPermission.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeNotFound, CodeServerError. A contact
// of another account, in a team that the key may not access, or deleted is not
// found, just as one that never was.
func (s *Service) GetContact(ctx context.Context, key string, id uuid.UUID) (*Contact, error) {
	const doing = "get contact"
	p, err := s.authorise(ctx, key, s.readPermission)
	if err != nil {
		return nil, err
	}
	record, err := s.find(ctx, doing, key, p, id)
	if err != nil {
		return nil, err
	}
	if !record.Contact.DeletedAt.IsZero() {
		return nil, fail(ErrNotFound, nil)
	}
	return s.load(ctx, doing, key, record)
}

// find returns a contact that the principal may see, a deleted one too.
func (s *Service) find(ctx context.Context, doing, key string, p *Principal, id uuid.UUID) (*ContactRecord, error) {
	record, err := s.store.FindContact(ctx, p.AccountID, id)
	if errors.Is(err, ErrNotFound) || err == nil && !p.CanAccessTeam(record.Contact.TeamID) {
		return nil, fail(ErrNotFound, nil)
	}
	if err != nil {
		return nil, s.serverError(ctx, doing, key, err)
	}
	return record, nil
}

// load returns the contact of a record that came from the store.
func (s *Service) load(ctx context.Context, doing, key string, record *ContactRecord) (*Contact, error) {
	c := &record.Contact
	var err error
	if c.CustomContext, err = loadContext(record.CustomContext); err == nil {
		c.IndustryContext, err = loadContext(record.IndustryContext)
	}
	if err != nil {
		return nil, s.serverError(ctx, doing, key, err)
	}
	return c, nil
}

// authorise says who the key stands for, if that principal has the permission.
func (s *Service) authorise(ctx context.Context, key string, need Permission) (*Principal, error) {
	if strings.TrimSpace(key) == "" {
		return nil, fail(ErrAuthenticationRequired, nil)
	}
	p, err := s.auth.Authenticate(ctx, key)
	switch {
	case err != nil:
		return nil, s.authenticationError(ctx, key, err)
	case p == nil || p.AccountID == uuid.Nil:
		return nil, s.serverError(ctx, "authenticate", key, errors.New("the authenticator returned no account and no error"))
	case !p.Can(need):
		return nil, fail(ErrPermissionDenied, nil)
	}
	return p, nil
}

func (s *Service) authenticationError(ctx context.Context, key string, err error) error {
	e, _ := errors.AsType[*Error](err)
	switch {
	case e == nil || e.Code == "" || e.Code == CodeServerError:
		return s.serverError(ctx, "authenticate", key, err)
	case e.Code == CodeInvalidKey:
		return fail(ErrInvalidKey, nil) // the same words, whatever the reason
	default:
		return &Error{Code: e.Code, Message: e.Message, Details: e.Details, cause: e.cause}
	}
}

// create is the way of a new contact from its input to the store. It reports
// whether an earlier create has the same idempotency key, whose result it
// returns then.
func (s *Service) create(ctx context.Context, key string, p *Principal, in *CreateContactInput, bad *problems) (*Contact, bool, error) {
	d, err := s.draft(in, bad)
	if err != nil {
		return nil, false, err
	}
	if err := s.checkTeam(ctx, key, p, d.record.Contact.TeamID); err != nil {
		return nil, false, err
	}
	if err := s.sign(&d, p, in.IdempotencyKey); err != nil {
		return nil, false, s.serverError(ctx, "create contact", key, err)
	}
	outcomes, err := s.store.Apply(ctx, MutationBatch{Now: d.record.Contact.CreatedAt, Mutations: []Mutation{d.mutation()}})
	var outcome MutationOutcome
	if len(outcomes) > 0 {
		outcome = outcomes[0]
	}
	if err != nil {
		outcome.Err = err
	}
	replayed, err := d.settle(outcome)
	if err == nil && replayed {
		err = s.checkReplay(ctx, p, &d.record.Contact)
	}
	if err != nil {
		return nil, false, s.createError(ctx, key, &d, err)
	}
	return &d.record.Contact, replayed, nil
}

// A draft is a contact on its way to the store.
type draft struct {
	record      *ContactRecord
	forms       contextForms
	idempotency *IdempotencyRecord // nil: none
}

func (d *draft) mutation() Mutation {
	c := &d.record.Contact
	return Mutation{AccountID: c.AccountID, Idempotency: d.idempotency, Contacts: []ContactChange{{ID: c.ID, Record: d.record}}}
}

// draft makes a draft of the input, or one error for all that is wrong with it.
func (s *Service) draft(in *CreateContactInput, bad *problems) (d draft, err error) {
	idempotencyKey(in.IdempotencyKey, bad)
	for i, phone := range in.PhoneNumbers {
		if phone.ID != uuid.Nil {
			bad.add(element("phone_numbers", i)+".id", FieldInvalid, "must not be given for a new contact")
		}
	}
	d.record, d.forms = s.rules.contact(in, bad)
	return d, bad.err()
}

// sign gives the draft its identity and its time.
func (s *Service) sign(d *draft, p *Principal, idempotencyKey string) (err error) {
	c := &d.record.Contact
	c.ID, c.AccountID, c.Version = newID(), p.AccountID, 1
	c.CreatedAt = timestamp(s.now())
	c.UpdatedAt = c.CreatedAt
	for i := range c.PhoneNumbers {
		c.PhoneNumbers[i].ID = siblingID(c.ID)
	}
	if idempotencyKey != "" {
		d.idempotency, err = newIdempotency(idempotencyKey, d.record, s.retention)
	}
	return err
}

// settle makes the draft what its outcome says is stored.
func (d *draft) settle(outcome MutationOutcome) (replayed bool, err error) {
	if outcome.Err != nil {
		return false, outcome.Err
	}
	if outcome.Result != "" {
		if err := replay(&d.record.Contact, outcome.Result); err != nil {
			return false, err
		}
		replayed = true
	}
	d.record.Contact.CustomContext, d.record.Contact.IndustryContext = d.forms.custom, d.forms.industry
	return replayed, nil
}

// checkReplay makes a conflict of a replay whose contact has come into a team that
// the principal may not access: it must not learn of it.
func (s *Service) checkReplay(ctx context.Context, p *Principal, c *Contact) error {
	if p.AllTeams {
		return nil
	}
	stored, err := s.store.FindContact(ctx, c.AccountID, c.ID)
	switch {
	case errors.Is(err, ErrNotFound): // removed for good, and the first result still is the first result
		return nil
	case err == nil && !p.CanAccessTeam(stored.Contact.TeamID):
		return ErrIdempotencyConflict
	default:
		return err
	}
}

// createError turns what a store says of a record into a code.
func (s *Service) createError(ctx context.Context, key string, d *draft, err error) error {
	switch {
	case errors.Is(err, ErrIdempotencyConflict):
		return fail(ErrIdempotencyConflict, nil)
	case errors.Is(err, ErrBatchFailed):
		return fail(ErrBatchFailed, nil)
	case errors.Is(err, ErrTeamNotFound):
		return fail(ErrTeamNotFound, nil) // it went after the check
	default:
		return s.serverError(ctx, "create contact", key, err)
	}
}

// checkTeam finds the team first: a key learns of no team but its account's.
func (s *Service) checkTeam(ctx context.Context, key string, p *Principal, id int64) error {
	if id == 0 {
		return nil
	}
	d, err := s.store.ListDirectory(ctx, DirectoryQuery{Kind: DirectoryTeams, AccountID: p.AccountID, AfterTeam: id - 1, Limit: 1})
	switch {
	case err != nil:
		return s.serverError(ctx, "find team", key, err)
	case len(d.Teams) == 0 || d.Teams[0].ID != id:
		return fail(ErrTeamNotFound, nil)
	case !p.CanAccessTeam(id):
		return fail(ErrTeamAccessDenied, nil)
	}
	return nil
}

// serverError logs the cause, which the caller's client must not see, and
// wraps it. Whatever an authenticator of the host's put into it, the key is
// taken out of the log.
func (s *Service) serverError(ctx context.Context, doing, key string, cause error) error {
	level := slog.LevelError
	if ctx.Err() != nil {
		level = slog.LevelInfo // the caller gave up; nothing is wrong here
	}
	s.log.LogAttrs(ctx, level, "contacts: server error",
		slog.String("doing", doing), slog.String("cause", strings.ReplaceAll(cause.Error(), key, "[key]")))
	return serverFault(cause)
}

// newID returns a UUIDv7: ids in the order of creation keep a store's index in
// one place.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7FromReader(randomBits{})) } // fails only if its reader does

// randomBits reads from the runtime's ChaCha8, which needs no system call.
type randomBits struct{}

func (randomBits) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		var bits [8]byte
		binary.LittleEndian.PutUint64(bits[:], rand.Uint64())
		copy(p[i:], bits[:])
	}
	return len(p), nil
}

// siblingID returns a UUIDv7 of the same instant as id, with random bits of its
// own: a part of a contact is made with it, and needs no clock and no system
// call.
func siblingID(id uuid.UUID) uuid.UUID {
	const variant, random = 0x8000_0000_0000_0000, 0x3fff_ffff_ffff_ffff // RFC 9562, section 5.7
	binary.BigEndian.PutUint64(id[8:], variant|rand.Uint64()&random)
	return id
}

// timestamp is what a store keeps of a time.
func timestamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// afterZero is timestamp for a time whose zero value has a meaning of its own.
func afterZero(t time.Time) time.Time {
	if t = timestamp(t); t.IsZero() {
		return t.Add(time.Microsecond)
	}
	return t
}
