package contacts

import "slices"

// A merging says how an input changes the contact that it matches.
type merging struct {
	made      *draft   // the input as a new contact
	defaulted fieldSet // what of it is a default
	mode      UpsertMode
	tagsMode  TagsMode
	bad       *problems
}

// merge returns what an upsert makes of a stored contact, which it may leave as it
// is. A blank never clears anything.
//
// The forms of both are loaded.
func (r *rules) merge(m merging, stored *draft) *draft {
	overwrite := m.mode == UpsertOverwrite
	record := *stored.record
	d := &draft{record: &record, forms: stored.forms}
	c, made := &record.Contact, &m.made.record.Contact
	value, field := made.texts(), c.texts()
	for i := range textFields {
		if !isShown(*value[i]) || m.defaulted&(1<<i) != 0 || field[i] == &c.ExternalID {
			continue
		}
		if overwrite || !isShown(*field[i]) {
			*field[i] = *value[i]
		}
	}
	if c.ExternalID == "" {
		c.ExternalID = made.ExternalID
	}
	if made.TeamID != 0 && (overwrite || c.TeamID == 0) {
		c.TeamID = made.TeamID
	}
	c.Tags = slices.Clone(r.mergeTags(m, c.Tags))
	c.PhoneNumbers = r.mergePhoneNumbers(m, c.PhoneNumbers)
	for _, context := range []struct {
		name       string
		made, text *string
		input      map[string]any
		form       *map[string]any
	}{
		{"custom_context", &m.made.record.CustomContext, &record.CustomContext, m.made.forms.custom, &d.forms.custom},
		{"industry_context", &m.made.record.IndustryContext, &record.IndustryContext, m.made.forms.industry, &d.forms.industry},
	} {
		if *context.made == *context.text {
			continue
		}
		patch := withoutNulls(context.input)
		if !overwrite {
			patch = missing(*context.form, patch)
		}
		if len(patch) == 0 {
			continue
		}
		e := r.encoder(nil)
		*context.form = e.merged(*context.form, patch, context.name, m.bad)
		*context.text = string(e.text)
	}
	return d
}

func (r *rules) mergeTags(m merging, tags []string) []string {
	made := m.made.record.Contact.Tags
	if m.tagsMode == TagsReplace && len(made) > 0 {
		return made
	}
	merged := tags
	for _, t := range made {
		if !slices.Contains(tags, t) {
			merged = append(slices.Clip(merged), t)
		}
	}
	if len(merged) > r.limits.Tags && len(merged) > len(tags) {
		r.tooManyTags("tags", m.bad)
	}
	return merged
}

// mergePhoneNumbers adds the numbers that the contact does not have. It removes
// none.
func (r *rules) mergePhoneNumbers(m merging, phones []PhoneNumber) []PhoneNumber {
	overwrite := m.mode == UpsertOverwrite
	merged := slices.Clone(phones)
	for _, p := range m.made.record.Contact.PhoneNumbers {
		primary := p.Primary && (len(phones) == 0 || overwrite && m.defaulted&phoneNumbersField == 0)
		at := slices.IndexFunc(merged, func(q PhoneNumber) bool { return q.PhoneNumber == p.PhoneNumber })
		if at < 0 {
			p.Primary = false
			merged, at = append(merged, p), len(merged)
		}
		was := &merged[at]
		if p.PhoneType != "" && (overwrite || was.PhoneType == "") {
			was.PhoneType = p.PhoneType
		}
		was.DoNotCall = was.DoNotCall || p.DoNotCall
		if primary && !was.Primary {
			for j := range merged {
				merged[j].Primary = j == at
			}
		}
	}
	if len(merged) > len(phones) {
		r.tooManyPhoneNumbers(len(merged), m.bad)
	}
	if len(phones) == 0 {
		checkPhoneNumbers(merged, m.bad)
	}
	return merged
}

// withoutNulls returns the object without members that are null, at every depth of
// objects. An object with nothing else in it is left out as well: it would replace a
// value that is no object.
func withoutNulls(m map[string]any) map[string]any {
	kept := make(map[string]any, len(m))
	for name, v := range m {
		switch v := v.(type) {
		case nil:
		case map[string]any:
			if inner := withoutNulls(v); len(inner) > 0 || len(v) == 0 {
				kept[name] = inner
			}
		default:
			kept[name] = v
		}
	}
	return kept
}

// missing returns the members of an object that another one does not have, at
// every depth.
func missing(has, m map[string]any) map[string]any {
	out := make(map[string]any)
	for name, v := range m {
		was, there := has[name]
		if !there {
			out[name] = v
			continue
		}
		wasObject, both := was.(map[string]any)
		object, ok := v.(map[string]any)
		if !both || !ok {
			continue
		}
		if inner := missing(wasObject, object); len(inner) > 0 {
			out[name] = inner
		}
	}
	return out
}
