package contacts

import (
	"cmp"
	"context"
	"encoding/binary"
	"iter"
	"math"
	"slices"
	"strconv"
	"time"
)

// A BlockCallsBatchInput is a list of numbers that must not be called.
type BlockCallsBatchInput struct {
	Entries []DoNotCallInput `json:"entries"` // up to 10,000

	// What an entry gets that does not say it itself.
	Source    string    `json:"source,omitempty"`
	At        time.Time `json:"at,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`

	// OverGrants blocks the numbers too whose latest entry is a grant. False: they
	// are left alone, because a consent given to you outranks a bought list.
	OverGrants bool `json:"over_grants,omitempty"`
}

// BlockCallsOptions are the options of [Service.BlockCallsStream]. The zero value,
// and nil, is the default.
type BlockCallsOptions struct {
	OverGrants bool // as in [BlockCallsBatchInput]
}

// A BlockCallsResult counts what became of the entries of a batch, or of a part of
// a stream.
type BlockCallsResult struct {
	Added     int               `json:"added"`
	Unchanged int               `json:"unchanged"` // would have changed nothing
	Granted   int               `json:"granted"`   // left alone, because of a grant
	Failed    int               `json:"failed"`    // not valid, or of no phone number
	Errors    []BlockCallsError `json:"results,omitempty"`

	// PastOverlay says that the dry run of a list has met more keys than
	// Limits.DryRunKeys. A repeated number may count as Added then.
	PastOverlay bool `json:"past_overlay,omitempty"`
}

// A BlockCallsError is an entry that was refused.
type BlockCallsError struct {
	Index int   `json:"index"` // from the start of the batch or of the stream, from 0
	Err   error `json:"error"` // an *Error with CodeValidationError
}

// BlockCallsBatch records blocks for up to 10,000 numbers in one atomic step. What
// would change nothing is not recorded again, so the same list given twice adds
// nothing. An entry that is not valid is reported, and the others are recorded. It
// needs Options.DoNotCallPermission.
//
// Its errors, in the order of the checks: CodeAuthenticationRequired,
// CodeInvalidKey, CodePermissionDenied, CodeValidationError for too many entries,
// CodeServerError.
func (s *Service) BlockCallsBatch(ctx context.Context, key string, in BlockCallsBatchInput) (result *BlockCallsResult, err error) {
	ctx, c, err := s.begin(ctx, key, OpBlockCallsBatch, len(in.Entries))
	defer c.end(ctx, &err)
	if err != nil {
		return nil, err
	}
	return c.blockBatch(ctx, &in, nil)
}

// blockBatch records a batch. wrong has what was found wrong with entries when they
// were read, by their place.
func (c *call) blockBatch(ctx context.Context, in *BlockCallsBatchInput, wrong map[int]*problems) (*BlockCallsResult, error) {
	if len(in.Entries) > MaxDoNotCallBatch {
		return nil, tooMany("entries")
	}
	now, err := c.clock.read()
	if err != nil {
		return nil, c.fault(err)
	}
	result := new(BlockCallsResult)
	entries := make([]ledgerEntry, 0, len(in.Entries))
	for i := range in.Entries {
		entry := in.Entries[i]
		entry.Source, entry.At, entry.ExpiresAt = cmp.Or(entry.Source, in.Source), cmp.Or(entry.At, in.At), cmp.Or(entry.ExpiresAt, in.ExpiresAt)
		bad := problems{limit: problemLimit(len(result.Errors))}
		if found := wrong[i]; found != nil {
			bad.list = found.list
		}
		e := c.rules.doNotCall(&entry, DoNotCallBlock, now, &bad)
		if err := bad.err(); err != nil {
			result.Errors = append(result.Errors, BlockCallsError{i, err})
			continue
		}
		entries = append(entries, e)
	}
	result.Failed = len(result.Errors)
	return result, c.blockStep(ctx, entries, blocking{always: in.OverGrants}, result)
}

// blockStep records the entries, which are at most maxSubjects, in one mutation,
// and counts them. how has what the steps of a list have in common.
func (c *call) blockStep(ctx context.Context, entries []ledgerEntry, how blocking, result *BlockCallsResult) error {
	if len(entries) == 0 {
		c.observed.blocked(result)
		return nil
	}
	var b blocking
	var counts [blockGranted + 1]int
	err := c.retryStale(func() (err error) {
		b, counts = how, [len(counts)]int{}
		b.call = c
		if b.now, err = c.clock.read(); err != nil {
			return err
		}
		if err := b.read(ctx, entries); err != nil {
			return err
		}
		for i := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			e := entries[i]
			e.RecordedAt = b.now
			counts[b.judge(&e)]++
		}
		return b.append(ctx)
	})
	if err != nil {
		return c.fault(err)
	}
	result.Added, result.Unchanged, result.Granted = counts[blockAdded], counts[blockUnchanged], counts[blockGranted]
	result.PastOverlay = b.past.keepBlocks(b.added)
	c.observed.blocked(result)
	return nil
}

// BlockCallsStream records blocks as they come from the source, for lists of any
// length. It takes up to a million entries at a time, or fewer long ones, and
// records them in steps of up to 10,000. It yields a result for each step. Each
// step is atomic. The entries of a step are not in the order of the source. If the
// program ends in between, give the whole list again: what was recorded is
// Unchanged then.
//
// An error beside the result is one of those of [Service.BlockCallsBatch], and ends
// the stream. The key is checked before the source is read, and again for each step.
// It needs Options.DoNotCallPermission. A nil source holds nothing.
func (s *Service) BlockCallsStream(ctx context.Context, key string, source iter.Seq[DoNotCallInput], opts *BlockCallsOptions) iter.Seq2[BlockCallsResult, error] {
	return func(yield func(BlockCallsResult, error) bool) {
		list := blockList{Service: s, key: key, yield: yield, texts: make(map[entryText]uint32)}
		if opts != nil {
			list.how.always = opts.OverGrants
		}
		if s.dryRun {
			list.how.past = newPast(s.rules.limits.DryRunKeys)
		}
		if _, err := s.Authorize(ctx, key, OpBlockCallsBatch); err != nil {
			yield(BlockCallsResult{}, err)
			return
		}
		if source == nil {
			return
		}
		for in := range source {
			if !list.add(ctx, &in) {
				return
			}
		}
		list.flush(ctx)
	}
}

// How much of a stream is held at a time. A list that is sorted in small parts
// makes random pages of the index, which gets slow as the ledger grows.
const (
	maxHeld      = 1_000_000
	maxHeldBytes = 64 << 20
)

// A blockList is a stream of blocks on its way.
type blockList struct {
	*Service
	key   string
	how   blocking // what the steps have in common
	yield func(BlockCallsResult, error) bool

	given  int // entries so far
	held   []heldBlock
	bytes  int // what is held takes
	texts  map[entryText]uint32
	byText []entryText
	failed []BlockCallsError
}

// A heldBlock is an entry in little memory.
type heldBlock struct {
	head   uint64 // of its subject
	number uint64 // the digits
	text   uint32
	index  uint32 // keeps the order of the source, among the entries that are held
}

const (
	heldBlockBytes = 24
	entryTextBytes = 200 // beside its text: in a map and in a slice
)

// An entryText is what many entries of a list have in common.
type entryText struct {
	source, reason, reference string
	at, expiresAt             int64 // microseconds since 1970; noTime: not given
}

const noTime = math.MinInt64

// add takes one more entry, and reports whether the stream goes on.
func (l *blockList) add(ctx context.Context, in *DoNotCallInput) bool {
	if err := ctx.Err(); err != nil {
		return l.yieldFault(ctx, err)
	}
	now, err := l.clock.read()
	if err != nil {
		return l.yieldFault(ctx, err)
	}
	bad := problems{limit: problemLimit(len(l.failed))}
	e := l.rules.doNotCall(in, DoNotCallBlock, now, &bad)
	if err := bad.err(); err != nil {
		l.failed = append(l.failed, BlockCallsError{l.given, err})
		l.given++
		return len(l.failed) < MaxDoNotCallBatch || l.record(ctx, nil)
	}
	l.given++
	number, err := strconv.ParseUint(e.PhoneNumber[1:], 10, 64)
	if err != nil {
		return l.yieldFault(ctx, err)
	}
	text := entryText{e.Source, e.Reason, e.Reference, heldTime(e.At), heldTime(e.ExpiresAt)}
	place, known := l.texts[text]
	if !known {
		place = uint32(len(l.byText))
		l.texts[text] = place
		l.byText = append(l.byText, text)
		l.bytes += entryTextBytes + len(text.source) + len(text.reason) + len(text.reference)
	}
	l.held = append(l.held, heldBlock{number: number, text: place, index: uint32(len(l.held))})
	l.bytes += heldBlockBytes
	if len(l.held) < maxHeld && l.bytes < maxHeldBytes {
		return true
	}
	return l.flush(ctx)
}

func heldTime(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixMicro()
}

func (h *heldBlock) entry(texts []entryText) ledgerEntry {
	t := &texts[h.text]
	e := ledgerEntry{DoNotCallEntry: DoNotCallEntry{
		Type: DoNotCallBlock, PhoneNumber: "+" + strconv.FormatUint(h.number, 10), Source: t.source, Reason: t.reason, Reference: t.reference,
	}}
	if t.at != noTime {
		e.At = time.UnixMicro(t.at).UTC()
	}
	if t.expiresAt != noTime {
		e.ExpiresAt = time.UnixMicro(t.expiresAt).UTC()
	}
	return e
}

// takeFailed returns a result with the entries that were refused since the last one.
func (l *blockList) takeFailed() BlockCallsResult {
	r := BlockCallsResult{Failed: len(l.failed), Errors: l.failed}
	l.failed = nil
	return r
}

// yieldFault ends the stream with a server error.
func (l *blockList) yieldFault(ctx context.Context, cause error) bool {
	c := call{Service: l.Service, op: OpBlockCallsBatch, key: l.key}
	err := c.fault(cause)
	c.logFaults(ctx)
	l.yield(l.takeFailed(), err)
	return false
}

// flush records what is held, in the order of the subjects, and reports whether
// the stream goes on.
func (l *blockList) flush(ctx context.Context) bool {
	if err := l.sort(ctx); err != nil {
		l.yield(l.takeFailed(), err)
		return false
	}
	entries := make([]ledgerEntry, 0, min(maxSubjects, len(l.held)))
	for step := range slices.Chunk(l.held, maxSubjects) {
		entries = entries[:0]
		for i := range step {
			entries = append(entries, step[i].entry(l.byText))
		}
		if !l.record(ctx, entries) {
			return false
		}
	}
	l.held, l.bytes, l.byText = l.held[:0], 0, l.byText[:0]
	clear(l.texts)
	return len(l.failed) == 0 || l.record(ctx, nil)
}

// record records the entries of one step, with those that were refused since the last
// one, and reports whether the stream goes on.
func (l *blockList) record(ctx context.Context, entries []ledgerEntry) bool {
	result := l.takeFailed()
	err := l.step(ctx, entries, &result)
	return l.yield(result, err) && err == nil
}

// sort sorts what is held by the subjects.
func (l *blockList) sort(ctx context.Context) error {
	if len(l.held) == 0 {
		return nil
	}
	c := call{Service: l.Service, op: OpBlockCallsBatch, key: l.key} // a part of the first step
	defer c.logFaults(ctx)
	if err := c.authenticate(ctx); err != nil {
		return err
	}
	ledger, err := c.openLedger(ctx)
	if err == nil && ledger == nil {
		b := blocking{call: &c}
		err = c.retryStale(func() error { return b.read(ctx, nil) })
		ledger = b.ledger
	}
	if err != nil {
		return c.fault(err)
	}
	if ledger == nil {
		return nil // in a dry run, which needs no order
	}
	for i := range l.held {
		h := &l.held[i]
		subject := ledger.secrets[0].subject(ledger.account, "+"+strconv.FormatUint(h.number, 10))
		h.head = binary.BigEndian.Uint64(subject[:])
	}
	slices.SortFunc(l.held, func(a, b heldBlock) int {
		return cmp.Or(cmp.Compare(a.head, b.head), cmp.Compare(a.number, b.number), cmp.Compare(a.index, b.index))
	})
	return nil
}

// step records one step.
func (l *blockList) step(ctx context.Context, entries []ledgerEntry, result *BlockCallsResult) (err error) {
	ctx, c, err := l.begin(ctx, l.key, OpBlockCallsBatch, len(entries)+result.Failed)
	defer c.end(ctx, &err)
	if err != nil {
		return err
	}
	return c.blockStep(ctx, entries, l.how, result)
}
