package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"example.com/contacts"
)

// A fileName names a file that a command makes beside its results. "": it makes none.
type fileName string

// Validate refuses standard output. The parser calls it.
func (n fileName) Validate() error {
	if n == "-" {
		return errors.New("- is standard output, and this goes to a file: give its name")
	}
	return outName(n).Validate()
}

// An outName names the file that results go to. "-": standard output.
type outName string

// Validate refuses the name that a variable has which is not set. The parser calls it.
func (n outName) Validate() error {
	if n == "" {
		return errors.New("the name of the file is empty")
	}
	return nil
}

// A newFile is a file that the command makes. It gets its name when it is whole. Nobody
// else can read it.
type newFile struct {
	*os.File
	name string
}

// createFile begins a file. One of that name must not exist.
func createFile(name fileName) (*newFile, error) {
	if _, err := os.Lstat(string(name)); err == nil {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrExist)
	}
	f, err := os.CreateTemp(filepath.Dir(string(name)), ".contacts-*") // mode 0600
	if err != nil {
		return nil, err
	}
	return &newFile{f, string(name)}, nil
}

// finish gives the file its name. Another file may have got that name meanwhile. The
// file then stays where it was written, and the error says where that is: it may be the
// only copy.
func (f *newFile) finish() error {
	written := f.File.Name()
	err := errors.Join(f.Sync(), f.Close())
	if err == nil {
		err = moveNew(os.Link, written, f.name)
	}
	if err != nil {
		return fmt.Errorf("%s could not be made, and what was written is in %s: %w", f.name, written, err)
	}
	return nil
}

// moveNew gives a file a new name, which no file has. It makes a link, since a rename
// replaces what is there. Where the disk has no links, an empty file takes the name, and
// the rename replaces that one.
func moveNew(link func(from, to string) error, from, to string) error {
	err := link(from, to)
	switch {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, fs.ErrExist):
		return err
	}
	empty, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(empty.Close(), os.Rename(from, to)); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// discard removes the file, if it was not finished.
func (f *newFile) discard() {
	_ = f.Close() // of no interest any more
	_ = os.Remove(f.File.Name())
}

// withFiles calls work with what writes to new files; nil for one without a name. Where
// work returns true they get their names, also after an error. Else, and where one of
// them cannot be made, none appears.
func withFiles(work func(files ...io.Writer) (keep bool, err error), names ...fileName) (err error) {
	var files []*newFile
	keep := false
	defer func() {
		for _, f := range files {
			if keep {
				err = errors.Join(err, f.finish())
			} else {
				f.discard()
			}
		}
	}()
	writers := make([]io.Writer, len(names))
	for n, name := range names {
		if name == "" {
			continue
		}
		f, err := createFile(name)
		if err != nil {
			return err
		}
		files, writers[n] = append(files, f), f
	}
	keep, err = work(writers...)
	return err
}

// writeFile writes to a new file, or to standard output if the name is -. It says how
// much of what was written. Where a contact is damaged, the others are in the file.
func (s *session) writeFile(name outName, what string, write func(io.Writer) (int, error)) error {
	if name == "-" {
		_, err := write(s.out.w)
		return err
	}
	f, err := createFile(fileName(name))
	if err != nil {
		return err
	}
	n, err := write(f)
	if _, damaged := errors.AsType[*contacts.DamagedError](err); err != nil && !damaged {
		f.discard()
		return err
	}
	if failed := f.finish(); failed != nil {
		return errors.Join(err, failed)
	}
	s.say("%d %s were written to %s", n, what, name)
	return err
}
