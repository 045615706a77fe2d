package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/google/uuid"

	"example.com/contacts"
)

// withReceipts calls work, and writes the receipts that it returns to a new file as JSON
// lines. No name: there is no file. Where nothing was erased, and where not all receipts
// can be written, the file does not appear: a part of it would look whole.
func withReceipts(name fileName, work func() ([]contacts.Erasure, error)) error {
	return withFiles(func(files ...io.Writer) (keep bool, err error) {
		receipts, err := work()
		if files[0] == nil || len(receipts) == 0 {
			return false, err
		}
		lines := &output{w: bufio.NewWriter(files[0]), json: true}
		failed := errors.Join(list(lines, these(receipts...)), lines.flush())
		return failed == nil, errors.Join(err, failed)
	}, name)
}

type eraseReapply struct {
	File string `arg:"" help:"What erase list --json has written before the restore; - is standard input."`
	ledgerFlags
	confirmation
}

// A reappliedErasures is what became of the receipts of a file.
type reappliedErasures struct {
	Receipts int `json:"receipts"`
	Erased   int `json:"erased"` // contacts that had come back
}

func (c *eraseReapply) Run(ctx context.Context, s *session) error {
	if err := c.possible(s); err != nil {
		return err
	}
	receipts, err := c.read(ctx, s)
	if err != nil {
		return err
	}
	if err := c.ask(ctx, s, fmt.Sprintf("Of %d contacts that were erased, those that have come back are removed for good.", len(receipts))); err != nil {
		return err
	}
	return c.asHost(ctx, s, func(admin *contacts.Admin) error {
		n, err := admin.Reapply(ctx, receipts)
		if err != nil && n == 0 {
			return err
		}
		return errors.Join(err, list(s.out, these(reappliedErasures{len(receipts), n}),
			column[reappliedErasures]{"RECEIPTS", func(r reappliedErasures) string { return strconv.Itoa(r.Receipts) }},
			column[reappliedErasures]{"ERASED", func(r reappliedErasures) string { return strconv.Itoa(r.Erased) }},
		))
	})
}

// read reads the receipts of the file.
func (c *eraseReapply) read(ctx context.Context, s *session) (receipts []contacts.Erasure, err error) {
	in, _, err := s.open(ctx, c.File)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	for d := json.NewDecoder(in); ; {
		var e contacts.Erasure
		err := d.Decode(&e)
		if errors.Is(err, io.EOF) {
			return receipts, nil
		}
		if err == nil && (e.ID == uuid.Nil || e.AccountID == uuid.Nil || e.ContactID == uuid.Nil) {
			err = errors.New("an id is missing")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: receipt %d cannot be read: %w; nothing was done. Give what contacts erase list --json has written", c.File, len(receipts)+1, err)
		}
		receipts = append(receipts, e)
	}
}
