package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// environment returns what the figures depend on.
func environment(ctx context.Context, dir string, w *world) ([]fact, error) {
	sqlite, _, _ := sqlite3.Version()
	schema, err := storeSchema(ctx, dir, w)
	var settings []string
	for _, p := range writerPragmas {
		settings = append(settings, p.name+"="+p.value)
	}
	return []fact{
		{"CPU", fmt.Sprintf("%s, %d cores", cmp.Or(submatch("/proc/cpuinfo", `(?m)^model name\s*: (.*)$`), runtime.GOARCH), runtime.NumCPU())},
		{"system", fmt.Sprintf("%s %s", runtime.GOOS, submatch("/proc/sys/kernel/osrelease", `(.*)`))},
		{"file system", fileSystem(dir)},
		{"Go", runtime.Version()},
		{"SQLite", fmt.Sprintf("%s (go-sqlite3 %s)", sqlite, version("github.com/mattn/go-sqlite3"))},
		{"GORM", fmt.Sprintf("%s (drivers %s and %s)", version("gorm.io/gorm"), version("gorm.io/driver/sqlite"), version("gorm.io/driver/postgres"))},
		{"PocketBase", fmt.Sprintf("%s (SQLite in Go %s)", version("github.com/pocketbase/pocketbase"), version("modernc.org/sqlite"))},
		{"settings", strings.Join(settings, ", ")},
		{"schema of the store", schema},
		{"data", dataText},
	}, err
}

// storeSchema names the tables of the store with contacts in them, and their
// indexes: what its files are made of, and which look-ups they can serve.
func storeSchema(ctx context.Context, parent string, w *world) (names string, err error) {
	_, err = inFolder(parent, func(dir string) (float64, error) {
		t, err := openOurs(ctx, dir, w)
		if err != nil {
			return 0, err
		}
		defer t.close()
		db := openDB(file(dir), 1, readerPragmas)
		defer db.Close()
		return 0, db.QueryRowContext(ctx, `SELECT group_concat(name || ' (' || columns || ')', ', ') FROM (
			SELECT t.name AS name, group_concat(c.name, ' ') AS columns
			FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
			WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND EXISTS (SELECT * FROM pragma_table_info(t.name) WHERE name = 'seq')
			GROUP BY t.name
			UNION ALL
			SELECT 'index', group_concat(c.name, ' ')
			FROM sqlite_schema AS t, pragma_index_info(t.name) AS c
			WHERE t.type = 'index' AND EXISTS (SELECT * FROM pragma_table_info(t.tbl_name) WHERE name = 'seq')
			GROUP BY t.name)`).Scan(&names)
	})
	return names, err
}

// submatch returns what the expression's group matches in a file, "" for nothing.
func submatch(path, expression string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	match := regexp.MustCompile(expression).FindSubmatch(text)
	if match == nil {
		return ""
	}
	return string(match[1])
}

func version(module string) string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, m := range info.Deps {
			if m.Path == module {
				return m.Version
			}
		}
	}
	return "of unknown version"
}

// fileSystem returns the type of the file system that dir is on.
func fileSystem(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "unknown"
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	kind, longest := "unknown", 0
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line) // device, folder, type, options
		if len(fields) < 4 {
			continue
		}
		folder := strings.TrimSuffix(fields[1], "/")
		if len(fields[1]) >= longest && (dir == folder || strings.HasPrefix(dir, folder+"/")) {
			kind, longest = fields[2], len(fields[1])
		}
	}
	if kind == "tmpfs" || kind == "ramfs" {
		kind += ", which is memory: a sync costs nothing, and the figures say nothing; choose a disk with -dir"
	}
	return kind
}

// resetPeakMemory makes peakMemory forget what was before.
func resetPeakMemory() error {
	debug.FreeOSMemory()
	return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// peakMemory returns the greatest resident size of the process since
// resetPeakMemory, in megabytes.
func peakMemory() (float64, error) {
	kB, err := strconv.ParseFloat(submatch("/proc/self/status", `(?m)^VmHWM:\s*(\d+) kB$`), 64)
	return kB / 1000, err
}
