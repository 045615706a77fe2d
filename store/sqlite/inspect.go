//go:build cgo

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"example.com/contacts"
)

// An Inspection is what [Inspect] finds out about a file.
type Inspection struct {
	SchemaVersion int   // of the file; 0: it is empty, or not ours
	NewestSchema  int   // the version that this package writes
	Size          int64 // of the file, in bytes
	LogSize       int64 // of the -wal file beside it, in bytes
	FreeDisk      int64 // bytes that this process may still write on its disk; -1: not known

	// Findings are what is wrong with the file and its place. nil: nothing.
	Findings []contacts.Finding
}

// Inspect looks at the file at path without opening the store. It changes no byte of
// the file and of what lies beside it, and neither creates nor migrates anything.
// Other processes may use the file meanwhile. No option is used; opts may be nil.
//
// The codes of its findings: schema_older, schema_newer, foreign_file, integrity,
// mode_not_0600, network_disk, disk_low, log_large. An error means that nothing is
// known: there is no such file ([io/fs.ErrNotExist]), or it cannot be read.
func Inspect(ctx context.Context, path string, opts *Options) (Inspection, error) {
	in, err := inspectFile(ctx, path, diskOf)
	if err != nil {
		return Inspection{}, fmt.Errorf("sqlite: inspect %q: %w", path, classify(err))
	}
	return in, nil
}

// A disk is what is known of where a file is.
type disk struct {
	network string // which kind of network disk it is; "": none, or not known
	free    int64  // bytes that this process may still write; -1: not known
}

var unknownDisk = disk{free: -1}

// inspectFile inspects a file. look looks at the disk that a path is on.
func inspectFile(ctx context.Context, path string, look func(path string) disk) (in Inspection, err error) {
	if err := ctx.Err(); err != nil {
		return in, err
	}
	if path, err = resolve(path); err != nil {
		return in, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return in, err
	}
	target := targetOf(path)
	place := look(target)
	in = Inspection{NewestSchema: SchemaVersion(), Size: info.Size(), FreeDisk: place.free}
	if log, err := os.Stat(target + logSuffix); err == nil {
		in.LogSize = log.Size()
	}
	if in.SchemaVersion, err = in.readSchema(ctx, path); err != nil {
		return in, err
	}
	in.inspectPlace(place, info.Mode())
	return in, nil
}

// readSchema returns the version of the file, and adds what is wrong with it.
func (in *Inspection) readSchema(ctx context.Context, path string) (int, error) {
	if in.Size == 0 && in.LogSize == 0 {
		in.older(0)
		return 0, nil
	}
	err := persist(ctx, path, func(path string) error { return inspect(path, in.NewestSchema) })
	switch {
	case errors.Is(err, ErrNewerSchema):
	case errors.Is(err, ErrForeignLog):
		in.add(contacts.SeverityError, "foreign_file", err.Error(),
			"If a backup was put in the place of the file, move the files away whose names end in -wal, -shm and -journal. Else put the file back that they belong to.")
		return 0, nil
	case errors.Is(err, ErrNotDatabase), errors.Is(err, ErrForeign):
		in.add(contacts.SeverityError, "foreign_file", err.Error(), "Give the path of a file that this program made, and do not open this one.")
		return 0, nil
	case errors.Is(err, ErrCorrupt):
		in.add(contacts.SeverityError, "integrity", err.Error(), "Restore a backup.")
		return 0, nil
	case errors.Is(err, ErrReadOnly): // it can be read all the same
	case err != nil:
		return 0, err
	}
	version, err := schemaOf(path)
	switch {
	case err != nil:
		return 0, err
	case version > in.NewestSchema:
		in.add(contacts.SeverityError, "schema_newer", fmt.Sprintf("the file has the schema version %d, and this program writes %d", version, in.NewestSchema),
			"Use a newer version of this program.")
	case version < in.NewestSchema:
		in.older(version)
	}
	return version, nil
}

func (in *Inspection) older(version int) {
	in.add(contacts.SeverityWarning, "schema_older", fmt.Sprintf("the file has the schema version %d, and this program writes %d", version, in.NewestSchema),
		"Make a backup, then migrate: any program that opens the file does so.")
}

// schemaOf returns the version of the file, that in its log included.
func schemaOf(path string) (int, error) {
	l, err := readLog(targetOf(path) + logSuffix)
	if err != nil || l.headed {
		return int(l.header.version), err
	}
	m, err := readMain(path)
	return int(m.version), err
}

const (
	largeLog = 256 << 20 // four times of what the writer cuts it to
	lowDisk  = 256 << 20
)

// inspectPlace adds what is wrong with where the file is, and who may read it.
func (in *Inspection) inspectPlace(place disk, mode fs.FileMode) {
	if others := mode.Perm() &^ 0o600; others != 0 {
		in.add(contacts.SeverityWarning, "mode_not_0600", fmt.Sprintf("the file has the mode %04o, so other users of the machine may use it", mode.Perm()),
			"chmod 600 it, and the files beside it.")
	}
	if place.network != "" {
		in.add(contacts.SeverityError, "network_disk", "the file is on a network disk ("+place.network+"), where SQLite's locks cannot be relied on",
			"Move it to a local disk, or move to PostgreSQL.")
	}
	if in.FreeDisk >= 0 && in.FreeDisk < max(lowDisk, in.Size/10) {
		in.add(contacts.SeverityWarning, "disk_low", fmt.Sprintf("%d MiB of the disk are free, and the file has %d MiB", in.FreeDisk>>20, in.Size>>20),
			"Make room: when the disk is full, writes fail.")
	}
	if in.LogSize > largeLog {
		in.add(contacts.SeverityWarning, "log_large", fmt.Sprintf("the -wal file has %d MiB", in.LogSize>>20),
			"Find the long read or the backup that keeps it. It shrinks after that, with the next writes.")
	}
}

func (in *Inspection) add(severity contacts.Severity, code, message, advice string) {
	in.Findings = append(in.Findings, contacts.Finding{Severity: severity, Code: code, Message: message, Advice: advice})
}
