package contactsio

import (
	"maps"
	"slices"

	"example.com/contacts"
)

// A Summary counts what became of the rows of an import:
//
//	Rows = Created + Updated + Unchanged + Existing + Restored + Replayed + Refused + NotStored
type Summary struct {
	Rows      int `json:"rows"`
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Existing  int `json:"existing"`
	Restored  int `json:"restored"`
	Replayed  int `json:"replayed"`   // were stored by an earlier import, or by an equal row of this one
	Refused   int `json:"refused"`    // are not stored; ByCode says why
	NotStored int `json:"not_stored"` // met a server error
	Blank     int `json:"blank"`      // hold nothing, and are not in Rows

	Duplicate     int `json:"duplicate"` // of Refused: another contact has a key that must be unique
	Ambiguous     int `json:"ambiguous"` // of Refused: more than one contact matches
	KeptDoNotCall int `json:"kept_do_not_call"`

	ByCode  map[string]int `json:"by_code,omitempty"` // refused rows by the code of their first problem, see [ProblemCSV]
	Ignored []string       `json:"ignored,omitempty"` // columns and properties of vCards, up to 1,000; of a long name the first 100 bytes
	Notes   map[string]int `json:"notes,omitempty"`   // by code

	Next *Position `json:"-"` // where to go on; nil: the end was reached
}

func (s *Summary) clone() Summary {
	c := *s
	c.ByCode, c.Notes, c.Ignored = maps.Clone(s.ByCode), maps.Clone(s.Notes), slices.Clone(s.Ignored)
	return c
}

// What became of a row, beside what a Service says.
const (
	resultReplayed  = "replayed"
	resultRefused   = "refused"
	resultNotStored = "not_stored"
)

// count adds a row.
func (s *Summary) count(e *entry) {
	switch e.Result {
	case string(contacts.ResultCreated):
		s.Created++
	case string(contacts.ResultUpdated):
		s.Updated++
	case string(contacts.ResultUnchanged):
		s.Unchanged++
	case string(contacts.ResultExisting):
		s.Existing++
	case string(contacts.ResultRestored):
		s.Restored++
	case resultReplayed:
		s.Replayed++
	case resultNotStored:
		s.NotStored++
	case resultRefused:
		s.Refused++
		if s.ByCode == nil {
			s.ByCode = make(map[string]int)
		}
		s.ByCode[e.Problems[0].Code]++
	}
	kept := false
	for _, n := range e.Notes {
		s.addNote(n.Code)
		kept = kept || n.Code == NoteKeptDoNotCall
	}
	if kept {
		s.KeptDoNotCall++
	}
}

func (s *Summary) addNote(code string) {
	if s.Notes == nil {
		s.Notes = make(map[string]int)
	}
	s.Notes[code]++
}
