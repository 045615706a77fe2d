package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"example.com/contacts/contactsio"
)

// A checkpoint is a file that says where an import goes on. It is locked while an
// import uses it. A newer position is written beside it and renamed, so the file is
// always whole. It is not synced to the disk: an older position is right too, because
// rows that were stored are not stored twice.
type checkpoint struct {
	name string
	lock *flock.Flock // on the file that has the name
	made bool         // there is no position in it
}

// openCheckpoint locks a file and returns the position in it. A file that is not there
// is made; its position is the beginning of any file.
func openCheckpoint(name string) (*checkpoint, contactsio.Position, error) {
	c, err := lockCheckpoint(name)
	if err != nil {
		return nil, contactsio.Position{}, err
	}
	var from contactsio.Position
	text, err := os.ReadFile(name)
	c.made = len(text) == 0
	if err == nil && !c.made {
		if err = json.Unmarshal(text, &from); err == nil && from.Fingerprint == "" {
			err = errors.New("it has no fingerprint of a file")
		}
		if err != nil {
			err = fmt.Errorf("%s is no checkpoint of an import: %w; give another file, or remove this one if it is of no use", name, err)
		}
	}
	if err != nil {
		return nil, from, errors.Join(err, c.lock.Close())
	}
	return c, from, nil
}

// lockCheckpoint locks the file that has the name. One that lost its name to another
// import between the look and the lock is of no use. A link is refused: a newer position
// would replace it, and not the file that it leads to.
func lockCheckpoint(name string) (*checkpoint, error) {
	for {
		if there, err := os.Lstat(name); err == nil && !there.Mode().IsRegular() {
			return nil, fmt.Errorf("the checkpoint %s is no regular file: give the name of a file that an import may replace", name)
		}
		lock := flock.New(name)
		locked, err := lock.TryLock()
		switch {
		case err != nil:
			return nil, fmt.Errorf("the checkpoint: %w", err)
		case !locked:
			return nil, fmt.Errorf("another import uses the checkpoint %s: wait until it ends, or give another file", name)
		}
		mine, err := lock.Stat()
		if err != nil {
			return nil, errors.Join(err, lock.Close())
		}
		named, err := os.Lstat(name)
		if err == nil && os.SameFile(mine, named) {
			return &checkpoint{name: name, lock: lock}, nil
		}
		if err := errors.Join(lock.Close(), ignore(err, fs.ErrNotExist)); err != nil {
			return nil, err
		}
	}
}

// ignore returns err, and nil if it is of no interest.
func ignore(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}

// save writes a position.
func (c *checkpoint) save(p contactsio.Position) (err error) {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.name), ".contacts-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Close())
	next := flock.New(f.Name())
	if err == nil {
		_, err = next.TryLock() // nobody else knows its name
	}
	if err == nil {
		err = os.Rename(f.Name(), c.name)
	}
	if err != nil {
		return errors.Join(err, next.Close(), os.Remove(f.Name()))
	}
	previous := c.lock
	c.lock, c.made = next, false
	return previous.Close()
}

// end writes where the import goes on, and gives the file to others. After an import
// that is through, and after one that never began, there is nothing to go on with: the
// file is removed.
func (c *checkpoint) end(summary *contactsio.Summary) error {
	var err error
	switch {
	case summary != nil && summary.Next != nil:
		err = c.save(*summary.Next)
	case summary != nil || c.made:
		err = os.Remove(c.name)
	}
	return errors.Join(err, c.lock.Close())
}
