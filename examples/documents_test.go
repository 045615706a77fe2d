package examples_test

import (
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = ".."

// A block is one fenced block of a document.
type block struct {
	where    string // file and line
	language string
	text     string
}

func (b block) lines() []string { return trimmedLines(b.text) }

// documents returns the paths of all documents of the module.
func documents(t *testing.T) []string { return files(t, ".md") }

// files returns the paths of all files of the module with that extension.
func files(t *testing.T, extension string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && isElsewhere(path):
			return fs.SkipDir
		case !d.IsDir() && filepath.Ext(path) == extension:
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// isElsewhere reports whether a folder is outside the module or hidden.
func isElsewhere(path string) bool {
	if name := filepath.Base(path); strings.HasPrefix(name, ".") || name == "testdata" {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func blocks(t *testing.T, path string) (found []block) {
	t.Helper()
	var inside *block
	for i, line := range strings.SplitAfter(read(t, path), "\n") {
		fence, ok := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case ok && inside == nil:
			inside = &block{where: fmt.Sprintf("%s:%d", path, i+1), language: fence}
		case ok:
			found = append(found, *inside)
			inside = nil
		case inside != nil:
			inside.text += line
		}
	}
	if inside != nil {
		t.Fatalf("%s: the block has no end", inside.where)
	}
	return found
}

// trimmedLines returns the lines without indentation: the only difference between
// a part of a function and the same code in a document.
func trimmedLines(text string) []string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines
}

// contains reports whether whole has the lines of part in a row.
func contains(whole, part []string) bool {
	for i := range len(whole) - len(part) + 1 {
		if slices.Equal(whole[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// TestGoBlocksAreCompiledCode fails if a document has Go code that no .go file of
// the module has. Write the code into a tested file first, then copy it.
func TestGoBlocksAreCompiledCode(t *testing.T) {
	var sources [][]string
	for _, path := range files(t, ".go") {
		sources = append(sources, trimmedLines(read(t, path)))
	}
	checked := 0
	for _, path := range documents(t) {
		for _, b := range blocks(t, path) {
			if b.language != "go" {
				continue
			}
			checked++
			formatted, err := format.Source([]byte(b.text))
			if err != nil {
				t.Errorf("%s: %v", b.where, err)
				continue
			}
			if string(formatted) != b.text {
				t.Errorf("%s: gofmt would write\n%s", b.where, formatted)
			}
			if !slices.ContainsFunc(sources, func(s []string) bool { return contains(s, b.lines()) }) {
				t.Errorf("%s: no .go file has this code; write it into a tested file first:\n%s", b.where, b.text)
			}
		}
	}
	if checked == 0 {
		t.Error("found no Go code in any document; is .. the root of the repository?")
	}
}

// The README shows the output that the Example of the program checks.
func TestOutputOfTheFirstProgram(t *testing.T) {
	all := blocks(t, filepath.Join(root, "README.md"))
	program := strings.TrimSpace(read(t, filepath.Join("first", "main.go")))
	at := slices.IndexFunc(all, func(b block) bool { return strings.TrimSpace(b.text) == program })
	if at < 0 || at+1 == len(all) {
		t.Fatal("README.md must have the whole examples/first/main.go, and its output in the next block")
	}
	var want []string
	_, output, _ := strings.Cut(read(t, filepath.Join("first", "main_test.go")), "// Output:\n")
	for _, line := range trimmedLines(output) {
		if comment, ok := strings.CutPrefix(line, "//"); ok {
			want = append(want, strings.TrimSpace(comment))
		}
	}
	if got := all[at+1].lines(); !slices.Equal(got, want) {
		t.Errorf("%s: shows the output %q, want %q", all[at+1].where, got, want)
	}
}

// A link leads to a file or folder that exists, and to a heading that is there.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]*)#?([^)]*)\)`)
	for _, path := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(prose(t, path), -1) {
			target, heading := m[1], m[2]
			if strings.Contains(target, "://") {
				continue
			}
			to := path
			if target != "" {
				to = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: the link to %s leads to no file", path, target)
			} else if heading != "" && !slices.Contains(headings(t, to), heading) {
				t.Errorf("%s: %s has no heading #%s", path, to, heading)
			}
		}
	}
}

// prose returns a document without code blocks and code spans.
func prose(t *testing.T, path string) string {
	t.Helper()
	code := regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
	return code.ReplaceAllString(read(t, path), "")
}

// headings returns the anchors of the headings of a document.
func headings(t *testing.T, path string) (names []string) {
	t.Helper()
	punctuation := regexp.MustCompile(`[^a-z0-9 _-]`)
	for line := range strings.Lines(prose(t, path)) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && line[0] == '#' {
			name := punctuation.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			names = append(names, strings.ReplaceAll(name, " ", "-"))
		}
	}
	return names
}
