package identitytest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
)

// DryRuns lives random lives. Each call is made twice, dry and then really: the answers
// must be the same, but for ids that the real call has made, and the dry run must have
// stored nothing. The stores have the same data, and take turns.
func DryRuns(t *testing.T, rounds int, stores ...contacts.Store) {
	t.Helper()
	tries(t, longtest.Extent(rounds, 100), func(rt *rapid.T) {
		r := newRehearsal(t, stores, rt, small)
		for range 8 {
			r.act(rt, callsOfALife)
		}
	})
	t.Run("many contacts in a call", func(t *testing.T) {
		longtest.SkipShort(t)
		tries(t, 4, func(rt *rapid.T) {
			r := newRehearsal(t, stores, rt, large)
			for range 4 {
				r.act(rt, callsOfMany)
			}
		})
	})
}

var (
	callsOfMany  = []string{"batch", "upserts", "stream", "stream of upserts", "delete"}
	callsOfALife = []string{
		"create", "batch", "batch", "upsert", "upserts", "upserts", "stream", "stream of upserts", "update", "replace", "delete", "restore",
	}
)

// A size is how many contacts the calls of a rehearsal have.
type size struct {
	batch, stream int // at most; where a call has many, so many
	part          int // of a stream
	many          bool
}

var (
	small = size{batch: 8, stream: 24, part: 8}
	large = size{batch: 50, stream: 3000, part: contacts.MaxMutations, many: true}
)

// tries has rapid try the property on so many random cases at most.
func tries(t *testing.T, most int, property func(rt *rapid.T)) {
	t.Helper()
	failed := false // then rapid goes on, to find fewer calls
	rapid.Check(t, func(rt *rapid.T) {
		if most--; most < 0 && !failed {
			return
		}
		defer func() { failed = failed || rt.Failed() }()
		property(rt)
	})
}

// A rehearsal is a scene in which each call is made dry, and then really.
type rehearsal struct {
	*scene
	t    *testing.T
	keys []string
	size size
}

const absentTeam = 3

func newRehearsal(t *testing.T, stores []contacts.Store, rt *rapid.T, of size) *rehearsal {
	t.Helper()
	r := &rehearsal{scene: newScene(t, stores), t: t, size: of}
	r.keys = []string{r.key, r.key, r.limited, r.reader(t)}
	r.use(t, contacts.Options{Limits: contacts.Limits{Batch: of.part}, Now: noon})
	p := rapid.SampledFrom([]contacts.DuplicatePolicy{
		{}, Both(contacts.DuplicateReject), {Action: contacts.DuplicateReturnExisting}, {Action: contacts.DuplicateUpsert},
		{Action: contacts.DuplicateUpsert, Keys: []contacts.KeyKind{contacts.KeyExternalID}},
	}).Draw(rt, "policy")
	p.PhoneForms = rapid.Bool().Draw(rt, "forms of numbers")
	r.setPolicy(t, p)
	if err := r.admin.SetEvents(t.Context(), r.account, contacts.EventSettings{On: rapid.Bool().Draw(rt, "events")}); err != nil {
		t.Fatal(err)
	}
	return r
}

// act makes one of the calls.
func (r *rehearsal) act(rt *rapid.T, calls []string) {
	key := rapid.SampledFrom(r.keys).Draw(rt, "key")
	id := uuid.Max // nobody's
	before := r.stored(r.t)
	if all := slices.Concat(before.Live, before.Deleted); len(all) > 0 {
		id = rapid.SampledFrom(all).Draw(rt, "contact").Contact.ID
	}
	opts := &contacts.ChangeOptions{Version: rapid.SampledFrom([]int64{0, 0, 0, 1, 2}).Draw(rt, "version")}
	ctx := r.t.Context()
	one := func(c *contacts.Contact, err error) []contacts.CreateResult {
		return []contacts.CreateResult{{Contact: c, Err: err}}
	}
	var do func(svc *contacts.Service) []contacts.CreateResult
	what := rapid.SampledFrom(calls).Draw(rt, "call")
	switch what {
	case "create":
		in := dryInput(rt)
		do = func(svc *contacts.Service) []contacts.CreateResult {
			result, err := svc.CreateContactResult(ctx, key, in)
			result.Err = err
			return []contacts.CreateResult{result}
		}
	case "batch":
		in := contacts.CreateContactsInput{Contacts: inputs(rt, r.size, r.size.batch, dryInput, itself), AllOrNothing: rapid.Bool().Draw(rt, "all or nothing")}
		do = func(svc *contacts.Service) []contacts.CreateResult {
			results, err := svc.CreateContacts(ctx, key, in)
			return append(results, contacts.CreateResult{Err: err})
		}
	case "upsert":
		in := dryUpsert(rt)
		do = func(svc *contacts.Service) []contacts.CreateResult {
			result, err := svc.UpsertContact(ctx, key, in)
			if err != nil {
				return one(nil, err)
			}
			return []contacts.CreateResult{contacts.CreateResult(*result)}
		}
	case "upserts":
		in := contacts.UpsertContactsInput{Contacts: inputs(rt, r.size, r.size.batch, dryUpsert, created), AllOrNothing: rapid.Bool().Draw(rt, "all or nothing")}
		do = func(svc *contacts.Service) (all []contacts.CreateResult) {
			results, err := svc.UpsertContacts(ctx, key, in)
			for _, result := range results {
				all = append(all, contacts.CreateResult(result))
			}
			return append(all, contacts.CreateResult{Err: err})
		}
	case "stream":
		in := inputs(rt, r.size, r.size.stream, r.streamInput, itself)
		do = func(svc *contacts.Service) (all []contacts.CreateResult) {
			for result, err := range svc.CreateContactStream(ctx, key, slices.Values(in)) {
				if err != nil {
					result.Err = err
				}
				all = append(all, result)
			}
			return all
		}
	case "stream of upserts":
		in := inputs(rt, r.size, r.size.stream, r.streamUpsert, created)
		do = func(svc *contacts.Service) (all []contacts.CreateResult) {
			for result, err := range svc.UpsertContactStream(ctx, key, slices.Values(in)) {
				if err != nil {
					result.Err = err
				}
				all = append(all, contacts.CreateResult(result))
			}
			return all
		}
	case "update":
		in := dryUpdate(rt)
		do = func(svc *contacts.Service) []contacts.CreateResult {
			return one(svc.UpdateContact(ctx, key, id, in, opts))
		}
	case "replace":
		in := dryInput(rt)
		in.IdempotencyKey = ""
		do = func(svc *contacts.Service) []contacts.CreateResult {
			return one(svc.ReplaceContact(ctx, key, id, in, opts))
		}
	case "delete":
		do = func(svc *contacts.Service) []contacts.CreateResult {
			return one(nil, svc.DeleteContact(ctx, key, id, opts))
		}
	case "restore":
		do = func(svc *contacts.Service) []contacts.CreateResult {
			return one(svc.RestoreContact(ctx, key, id, opts))
		}
	}
	dry := do(r.service().DryRun())
	if diff := different(before, r.stored(r.t)); diff != "" {
		rt.Fatalf("%s: a dry run has stored something (-before +after):\n%s", what, diff)
	}
	known := make(map[uuid.UUID]bool)
	for _, c := range slices.Concat(before.Live, before.Deleted) {
		known[c.Contact.ID] = true
		for _, p := range c.Contact.PhoneNumbers {
			known[p.ID] = true
		}
	}
	stream := what == "stream" || what == "stream of upserts"
	stored := do(r.service())
	if len(dry) != len(stored) {
		rt.Fatalf("%s: %d results of the dry run, and %d of the real one", what, len(dry), len(stored))
	}
	for i := range stored {
		preview, result := dryAnswer(&dry[i], nil), dryAnswer(&stored[i], known)
		if stream {
			leaveOutParts(&preview, &result)
		}
		if diff := different(preview, result); diff != "" {
			rt.Fatalf("%s, contact %d (-dry +real):\n%s", what, i, diff)
		}
	}
}

// different is cmp.Diff, which takes long where much is the same.
func different(a, b any) string {
	if reflect.DeepEqual(a, b) {
		return ""
	}
	return cmp.Diff(a, b)
}

// inputs returns the contacts of a call that has at most so many. A call of many contacts
// has as many as it may. Three in four of them have keys of their own, and the others
// are an earlier one, or have the keys of one.
func inputs[In any](rt *rapid.T, of size, most int, one func(*rapid.T) In, created func(*In) *contacts.CreateContactInput) []In {
	if !of.many {
		return rapid.SliceOfN(rapid.Custom(one), 0, most).Draw(rt, "contacts")
	}
	all := make([]In, most)
	places := make([]int, most) // of the first with the same keys
	first := rapid.SampledFrom([]int{0, most / 2}).Draw(rt, "first")
	for i := range all {
		places[i] = i
		earlier := rapid.SampledFrom([]string{"", "", "", "", "", "", "keys", "all"}).Draw(rt, "repeats")
		if earlier != "" && i > 0 {
			places[i] = places[rapid.IntRange(0, i-1).Draw(rt, "of")]
		}
		if earlier == "all" && i > 0 {
			all[i] = all[places[i]]
			continue
		}
		all[i] = one(rt)
		own(created(&all[i]), first+places[i])
	}
	return all
}

func itself(in *contacts.CreateContactInput) *contacts.CreateContactInput { return in }

func created(in *contacts.UpsertContactInput) *contacts.CreateContactInput {
	return &in.CreateContactInput
}

// own gives the input the keys of a place, where it has some.
func own(in *contacts.CreateContactInput, place int) {
	in.Email = strings.Replace(in.Email, "@", fmt.Sprintf(".%d@", place), 1)
	for _, key := range []*string{&in.ExternalID, &in.IdempotencyKey} {
		if *key != "" {
			*key += fmt.Sprint(".", place)
		}
	}
	for i := range in.PhoneNumbers {
		form, number := "+1202555%04d", &in.PhoneNumbers[i].PhoneNumber
		switch {
		case strings.HasPrefix(*number, "+55119"): // the two forms of one
			form = "+551198%07d"
		case strings.HasPrefix(*number, "+5511"):
			form = "+55118%07d"
		}
		*number = fmt.Sprintf(form, place+i)
	}
}

// leaveOutParts leaves out what the dry run of a stream does not know of the
// contacts of earlier parts.
func leaveOutParts(dry, stored *drySaid) {
	for _, s := range []*drySaid{dry, stored} {
		for _, conflicts := range [][]contacts.Conflict{s.Matched, s.Error.Conflicts} {
			for i := range conflicts {
				conflicts[i].ContactID, conflicts[i].Index = uuid.Nil, nil
			}
		}
	}
	if dry.Error.Code != "" || dry.Contact != nil {
		return
	}
	stored.Contact, stored.Changes = nil, nil
	if stored.Result == contacts.ResultUnchanged {
		stored.Result = contacts.ResultUpdated
	}
	if dry.Result == contacts.ResultUnchanged { // of a replay
		dry.Result = contacts.ResultUpdated
	}
}

// drySaid is what a call says of one contact.
type drySaid struct {
	contacts.CreateResult
	Error struct {
		Code      contacts.Code
		Message   string
		Details   []contacts.FieldError
		Conflicts []contacts.Conflict
	}
}

// dryAnswer is what a call has said, with zero in place of the ids that are not
// known; nil: all are.
func dryAnswer(r *contacts.CreateResult, known map[uuid.UUID]bool) drySaid {
	said := drySaid{CreateResult: *r}
	shown := func(id uuid.UUID) uuid.UUID {
		if known == nil || known[id] {
			return id
		}
		return uuid.Nil
	}
	withShown := func(conflicts []contacts.Conflict) []contacts.Conflict {
		conflicts = slices.Clone(conflicts)
		for i := range conflicts {
			conflicts[i].ContactID = shown(conflicts[i].ContactID)
		}
		return conflicts
	}
	phones := func(numbers []contacts.PhoneNumber) []contacts.PhoneNumber {
		numbers = slices.Clone(numbers)
		for i := range numbers {
			numbers[i].ID = shown(numbers[i].ID)
		}
		return numbers
	}
	said.Matched, said.Err = withShown(r.Matched), nil
	if r.Contact != nil {
		c := *r.Contact
		c.ID, c.PhoneNumbers = shown(c.ID), phones(c.PhoneNumbers)
		c.DoNotCallSequence = 0 // of an entry that the real call adds
		said.Contact = &c
	}
	said.Changes = slices.Clone(r.Changes)
	for i := range said.Changes {
		c := &said.Changes[i]
		for _, side := range []*any{&c.Before, &c.After} {
			if numbers, ok := (*side).([]contacts.PhoneNumber); ok {
				*side = phones(numbers)
			}
		}
	}
	if e, ok := errors.AsType[*contacts.Error](r.Err); ok {
		said.Error.Code, said.Error.Message, said.Error.Details, said.Error.Conflicts = e.Code, e.Message, e.Details, withShown(e.Conflicts)
	}
	return said
}

var (
	dryTags     = rapid.SliceOfN(rapid.SampledFrom([]string{"vip", "VIP", "100%", "ß"}), 0, 3)
	dryContexts = rapid.SampledFrom([]map[string]any{nil, {}, {"a": 1}, {"a": map[string]any{"b": "c"}}, {"a": nil, "d": []any{true}}})
)

// dryInput is an input with few keys, so that many contacts have the same. Most are
// right.
func dryInput(t *rapid.T) contacts.CreateContactInput {
	in := contacts.CreateContactInput{
		FirstName:  rapid.SampledFrom([]string{"Ada", "Bob"}).Draw(t, "first name"),
		City:       rapid.SampledFrom([]string{"", "", "Oslo", "Rome"}).Draw(t, "city"),
		Email:      rapid.SampledFrom([]string{"", "a@example.com", "A@example.com", "b@example.com", "c@example.com"}).Draw(t, "e-mail"),
		ExternalID: rapid.SampledFrom([]string{"", "", "", "1", "2"}).Draw(t, "external id"),
		TeamID:     rapid.SampledFrom([]int64{0, 0, 0, 0, team, team, closedTeam}).Draw(t, "team"),
		Tags:       dryTags.Draw(t, "tags"),

		CustomContext:  dryContexts.Draw(t, "context"),
		IdempotencyKey: rapid.SampledFrom([]string{"", "", "", "", "k", "l"}).Draw(t, "idempotency key"),
	}
	in.PhoneNumbers = dryPhones(t)
	switch rapid.IntRange(0, 29).Draw(t, "wrong") {
	case 1:
		in.Email = "x"
	case 2:
		in.TeamID = absentTeam
	case 3:
		in.FirstName = ""
	}
	return in
}

// dryPhones are phone numbers of which some are to be blocked. Two of them reach one
// line.
func dryPhones(t *rapid.T) (numbers []contacts.PhoneNumberInput) {
	all := rapid.SampledFrom([]string{"+15551234567", "+1 555 123 4567", "+15557654321", "+393331234567"})
	line := rapid.SampledFrom([]string{"+5511987654321", "+551187654321"})
	for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "phones") {
		numbers = append(numbers, contacts.PhoneNumberInput{
			PhoneNumber: rapid.OneOf(all, line).Draw(t, "phone"), DoNotCall: rapid.IntRange(0, 5).Draw(t, "do not call") == 1,
		})
	}
	return numbers
}

// dryUpdate changes some of what dryInput gives.
func dryUpdate(t *rapid.T) (in contacts.UpdateContactInput) {
	from := dryInput(t)
	given := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name+" given") == 0 }
	if given("first name") {
		in.FirstName = &from.FirstName
	}
	if given("city") {
		in.City = &from.City
	}
	if given("e-mail") {
		in.Email = &from.Email
	}
	if given("external id") {
		in.ExternalID = &from.ExternalID
	}
	if given("team") {
		in.TeamID = &from.TeamID
	}
	if given("tags") {
		in.Tags = &from.Tags
	}
	if given("context") {
		in.CustomContext = &from.CustomContext
	}
	if given("phones") {
		phones := []contacts.UpdatePhoneNumber{}
		for i := range from.PhoneNumbers {
			phones = append(phones, contacts.UpdatePhoneNumber{PhoneNumber: &from.PhoneNumbers[i].PhoneNumber})
		}
		in.PhoneNumbers = &phones
	}
	return in
}

func dryUpsert(t *rapid.T) contacts.UpsertContactInput {
	in := contacts.UpsertContactInput{
		CreateContactInput: dryInput(t),
		MatchOn: rapid.SampledFrom([][]contacts.KeyKind{
			nil, nil, {contacts.KeyEmail}, {contacts.KeyExternalID}, {contacts.KeyPhoneNumber}, {contacts.KeyPhoneNumber, contacts.KeyEmail},
		}).Draw(t, "match on"),
		Mode:           rapid.SampledFrom([]contacts.UpsertMode{"", contacts.UpsertOverwrite}).Draw(t, "mode"),
		UpdateOnly:     rapid.IntRange(0, 5).Draw(t, "update only") == 1,
		RestoreDeleted: rapid.IntRange(0, 2).Draw(t, "restore deleted") == 1,
	}
	if in.Mode == contacts.UpsertOverwrite && rapid.Bool().Draw(t, "replace tags") {
		in.TagsMode = contacts.TagsReplace
	}
	return in
}

// streamInput is an input without a team. Which one a contact of an earlier part has is
// not known to a dry run.
func (r *rehearsal) streamInput(t *rapid.T) contacts.CreateContactInput {
	in := dryInput(t)
	in.TeamID = 0
	if r.size.many {
		in.Email = rapid.SampledFrom([]string{"a@example.com", "A@example.com"}).Draw(t, "address")
		return in
	}
	in.Email = fmt.Sprintf("%d@example.com", rapid.IntRange(0, 2*r.size.part).Draw(t, "address"))
	return in
}

func (r *rehearsal) streamUpsert(t *rapid.T) contacts.UpsertContactInput {
	in := dryUpsert(t)
	in.CreateContactInput = r.streamInput(t)
	in.MatchOn = []contacts.KeyKind{contacts.KeyEmail}
	return in
}
