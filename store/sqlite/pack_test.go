//go:build cgo

package sqlite_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/contacts/store/sqlite"
)

func drawRecord(rt *rapid.T) (r sqlite.PackedRecord) {
	bytes := func(to []byte, label string) {
		copy(to, rapid.SliceOfN(rapid.Byte(), len(to), len(to)).Draw(rt, label))
	}
	bytes(r.Account[:], "account")
	bytes(r.Key[:], "key")
	bytes(r.Input[:], "input")
	r.EndsAt = rapid.Int64().Draw(rt, "ends at")
	r.Result = rapid.String().Draw(rt, "result")
	return r
}

// A pack gives back the records that were put into it, and ends with the last of them.
func TestPackKeepsItsRecords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		records := rapid.SliceOfN(rapid.Custom(drawRecord), 1, 5).Draw(rt, "records")
		hashes, packed, endsAt := sqlite.Pack(records)
		got, err := sqlite.Unpack(hashes, packed)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(records, got); diff != "" {
			rt.Errorf("records (-put in +given back):\n%s", diff)
		}
		for _, r := range records {
			if r.EndsAt > endsAt {
				rt.Errorf("the pack ends at %d, before one of its records at %d", endsAt, r.EndsAt)
			}
		}
		if _, err := sqlite.Unpack(hashes, packed[:len(packed)-1]); err == nil {
			rt.Error("a pack without its last byte was read")
		}
	})
}

// Whatever is in the file, reading a pack ends, and what was read makes a pack with the
// same records.
func FuzzUnpack(f *testing.F) {
	hashes, packed, _ := sqlite.Pack([]sqlite.PackedRecord{{Account: uuid.Max, Result: "ok", EndsAt: -1}, {EndsAt: 1 << 60}})
	f.Add(hashes, packed)
	f.Add(hashes[:8], packed)
	f.Add(hashes, packed[:90])
	f.Add(hashes[:7], []byte{})
	f.Fuzz(func(t *testing.T, hashes, packed []byte) {
		records, err := sqlite.Unpack(hashes, packed)
		if err != nil {
			return
		}
		hashes, packed, _ = sqlite.Pack(records)
		again, err := sqlite.Unpack(hashes, packed)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(records, again); diff != "" {
			t.Errorf("records (-first +again):\n%s", diff)
		}
	})
}
