package contactsio

import (
	"encoding/csv"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// hostile are texts that spreadsheets run, or that are easily confused with such.
var hostile = []string{
	"=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1", "'=1", "''=1", "' =1", "\"=1", " =1", "\u00a0=1",
	"'", "''", "'+15551234567", "+15551234567", "+1 555", "-12.5", "12", "-", "=HYPERLINK(\"https://example.com\")", `"`, "a;b", `a\;b`, `\`, "", " ",
	"'+", "'-5", "+123456", "+1234567890123456", "-1e5", "-1.", "'1",
}

// isUnsafe reports whether a spreadsheet may run a cell. It is written anew here: by
// what a spreadsheet does, not by what the writer does.
func isUnsafe(cell string) bool {
	if cell == "" || strings.ContainsRune("0123456789", rune(cell[0])) {
		return false
	}
	const starts = "=+-@\t\r\n＝＋－＠"
	first := []rune(cell)[0]
	if first == '+' && len(cell) >= 8 && len(cell) <= 16 && strings.Trim(cell[1:], "0123456789") == "" {
		return false
	}
	if first == '-' {
		whole, fraction, _ := strings.Cut(cell[1:], ".")
		if whole != "" && strings.Trim(whole+fraction, "0123456789") == "" && !strings.HasSuffix(cell, ".") {
			return false
		}
	}
	trimmed := strings.TrimLeftFunc(cell, func(c rune) bool { return unicode.IsSpace(c) && !strings.ContainsRune(starts, c) || c == '"' })
	return trimmed != "" && strings.ContainsRune(starts, []rune(trimmed)[0])
}

func checkFormulaMark(t interface {
	Helper()
	Errorf(string, ...any)
}, s string) {
	t.Helper()
	written := withFormulaMark(s)
	if isUnsafe(written) {
		t.Errorf("%q is written as %q, which a spreadsheet may run", s, written)
	}
	if got := withoutFormulaMark(written); got != s {
		t.Errorf("%q is written as %q and read as %q", s, written, got)
	}
	if strings.Contains(s, "\r\n") {
		return // encoding/csv drops the CR
	}
	row := string(appendCSV(nil, ',', []string{written, s}))
	cells, err := csv.NewReader(strings.NewReader(row)).Read()
	if err != nil || len(cells) != 2 || cells[0] != written || cells[1] != s {
		t.Errorf("%q is written as %q and read as %q, %v", []string{written, s}, row, cells, err)
	}
}

func TestFormulaMark(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		checkFormulaMark(t, s)
	}
	for s, want := range map[string]string{
		"=HYPERLINK(\"x\")": "'=HYPERLINK(\"x\")", "'=": "''=", "+15551234567": "+15551234567", "-12.5": "-12.5", "+1 555": "'+1 555", "John": "John", "'John": "'John",
	} {
		if got := withFormulaMark(s); got != want {
			t.Errorf("%q is written as %q, want %q", s, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom([]rune("=+-@'\" \t\r\n＝＋0159.eExa,;|\u00a0ß")), 0, 12, -1).Draw(t, "s")
		checkFormulaMark(t, s)
	})
}

func FuzzFormula(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkFormulaMark(t, s) })
}

func TestTagsInOneCell(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tags := rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune(`a;\ ,"'=`)), 1, 5, -1), 1, 4).Draw(t, "tags")
		if got := splitOurTags(joinTags(tags)); strings.Join(got, "\x00") != strings.Join(tags, "\x00") {
			t.Errorf("%q are read as %q", tags, got)
		}
	})
}
