package contacts

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A Service creates and reads contacts on behalf of API keys. All rules are
// here; the [Store] behind it only keeps what it is given. Its methods may be
// called from many goroutines at once. The zero value is of no use; see [New].
type Service struct {
	store            Store
	auth             Authenticator
	createPermission Permission
	rules            rules
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
		createPermission: opts.CreatePermission,
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
	if s.createPermission == "" {
		s.createPermission = PermissionReadContacts
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
// CodeServerError. All wrong fields are reported at once.
func (s *Service) CreateContact(ctx context.Context, key string, in CreateContactInput) (*Contact, error) {
	p, err := s.authorise(ctx, key, s.createPermission)
	if err != nil {
		return nil, err
	}
	return s.create(ctx, key, p, &in, new(problems))
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
	p, err := s.authorise(ctx, key, s.createPermission)
	if err != nil {
		return nil, err
	}
	var bad problems
	in, err := s.rules.decode(ctx, body, &bad)
	if err != nil {
		if ctx.Err() != nil { // the body ended because the caller did
			return nil, s.serverError(ctx, "create contact", key, ctx.Err())
		}
		return nil, err
	}
	return s.create(ctx, key, p, in, &bad)
}

// GetContact returns a contact of the key's account; it needs
// PermissionReadContacts.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeNotFound, CodeServerError. A contact
// of another account, or in a team that the key may not access, is not found,
// just as one that never was.
func (s *Service) GetContact(ctx context.Context, key string, id uuid.UUID) (*Contact, error) {
	p, err := s.authorise(ctx, key, PermissionReadContacts)
	if err != nil {
		return nil, err
	}
	record, err := s.store.FindContact(ctx, p.AccountID, id)
	if errors.Is(err, ErrNotFound) || err == nil && !p.CanAccessTeam(record.Contact.TeamID) {
		return nil, fail(ErrNotFound, nil)
	}
	if err != nil {
		return nil, s.serverError(ctx, "get contact", key, err)
	}
	c := &record.Contact
	if c.CustomContext, err = loadContext(record.CustomContext); err == nil {
		c.IndustryContext, err = loadContext(record.IndustryContext)
	}
	if err != nil {
		return nil, s.serverError(ctx, "get contact", key, err)
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

// create is the way of every new contact from its input to the store.
func (s *Service) create(ctx context.Context, key string, p *Principal, in *CreateContactInput, bad *problems) (*Contact, error) {
	record, contexts := s.rules.contact(in, bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	c := &record.Contact
	if err := s.checkTeam(ctx, key, p, c.TeamID); err != nil {
		return nil, err
	}
	c.ID, c.AccountID = newID(), p.AccountID
	c.CreatedAt = timestamp(s.now())
	c.UpdatedAt = c.CreatedAt
	for i := range c.PhoneNumbers {
		c.PhoneNumbers[i].ID = siblingID(c.ID)
	}
	if errs := s.store.CreateContacts(ctx, ContactBatch{Records: []*ContactRecord{record}}); len(errs) > 0 && errs[0] != nil {
		if c.TeamID != 0 && errors.Is(errs[0], ErrNotFound) {
			return nil, fail(ErrTeamNotFound, nil) // it went after the check
		}
		return nil, s.serverError(ctx, "create contact", key, errs[0])
	}
	c.CustomContext, c.IndustryContext = contexts.custom, contexts.industry
	return c, nil
}

// checkTeam finds the team first: a key learns of no team but its account's.
func (s *Service) checkTeam(ctx context.Context, key string, p *Principal, id int64) error {
	if id == 0 {
		return nil
	}
	if _, err := s.store.FindTeam(ctx, p.AccountID, id); errors.Is(err, ErrNotFound) {
		return fail(ErrTeamNotFound, nil)
	} else if err != nil {
		return s.serverError(ctx, "find team", key, err)
	}
	if !p.CanAccessTeam(id) {
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
