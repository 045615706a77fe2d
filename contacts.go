package contacts

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// A Service creates, reads and changes contacts on behalf of API keys. All rules
// are here; the [Store] only keeps what it is given. Its methods may be called
// from many goroutines at once. The zero value cannot be used; see [New].
type Service struct {
	store            Store
	auth             Authenticator // the host's; nil: keys
	keys             *storeKeys    // nil where the host has an Authenticator
	createPermission Permission
	readPermission   Permission
	writePermission  Permission
	eventsPermission Permission
	manageDoNotCall  Permission
	rules            *rules
	retention        time.Duration // of idempotency keys
	ledgers          ledgers
	log              *slog.Logger
	observer         Observer // nil: nobody observes
	clock            clock
	ids              *idSource
	singles          *sync.Pool // of *single
	known            *knownSettings
	dryRun           bool // nothing is stored; see DryRun
}

// New returns a Service on the store. The caller closes the store. A nil opts
// means the documented behaviour. New rejects an invalid option with an error
// that says how to fix it.
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
		eventsPermission: cmp.Or(opts.EventsPermission, PermissionReadEvents),
		manageDoNotCall:  cmp.Or(opts.DoNotCallPermission, PermissionManageDoNotCall),
		retention:        cmp.Or(opts.IdempotencyRetention, defaultRetention),
		rules: &rules{
			limits:       limits,
			phones:       phoneRules{region: opts.DefaultRegion, validOnly: opts.ValidNumbersOnly},
			statuses:     slices.Clone(opts.Statuses),
			stages:       slices.Clone(opts.Stages),
			phoneTypes:   slices.Clone(opts.PhoneTypes),
			allowUnknown: opts.AllowUnknownFields,
		},
		log:      opts.Logger,
		observer: opts.Observer,
		clock:    opts.Now,
		ids:      newIDSource(opts.NewID),
		singles:  new(sync.Pool),
		known:    new(knownSettings),
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.auth == nil {
		s.keys = newStoreKeys(store, s.clock)
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.ledgers = newLedgers(store, s.clock, opts.DoNotCallSecrets)
	return s, nil
}

// GetContact returns a contact of the key's account. It needs
// Options.ReadPermission.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeNotFound, CodeServerError. A contact
// of another account, a contact in a team that the key may not access, a deleted
// contact and one that never existed all get the same CodeNotFound.
func (s *Service) GetContact(ctx context.Context, key string, id uuid.UUID) (_ *Contact, err error) {
	ctx, c, err := s.begin(ctx, key, OpGetContact, 1)
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	record, err := c.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if !record.Contact.DeletedAt.IsZero() {
		return nil, newError(ErrNotFound)
	}
	d := draft{record: record}
	if damaged := d.load(); damaged != nil {
		return nil, c.fault(damaged)
	}
	if err := c.mark(ctx, &record.Contact); err != nil {
		return nil, c.fault(err)
	}
	c.observed.returned(1)
	return d.contact(), nil
}
