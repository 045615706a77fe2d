package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// demoRows is the number of rows that the demonstration imports.
const demoRows = 5_000

// demonstrate writes a file of invented people and imports it twice, in a temporary
// folder.
func (j *job) demonstrate(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "contacts-import-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	people, db := filepath.Join(dir, "people.csv"), filepath.Join(dir, "contacts.db")
	f, err := os.Create(people)
	if err != nil {
		return err
	}
	if err := errors.Join(writeDemo(f, demoRows), f.Close()); err != nil {
		return err
	}
	for _, what := range []string{
		fmt.Sprintf("Importing %d invented people, some with mistakes:", demoRows),
		"\nImporting the same file again:",
	} {
		fmt.Fprintln(j.stdout, what)
		// Refused rows are expected here.
		if _, err := j.importFile(ctx, db, "", people); err != nil {
			return err
		}
	}
	return nil
}

// writeDemo writes n rows with a few mistakes. The file is always the same.
func writeDemo(w io.Writer, n int) error {
	first := []string{"Ada", "Alan", "Barbara", "Donald", "Edsger", "Frances", "Grace", "Ken", "Margaret", "Niklaus"}
	last := []string{"Allen", "Dijkstra", "Hamilton", "Hopper", "Knuth", "Liskov", "Lovelace", "Thompson", "Turing", "Wirth"}
	wrong := map[int]func(row []string) []string{
		15:   func(row []string) []string { row[4] = "555 123-4567"; return row },
		120:  func(row []string) []string { row[0] = ""; return row },
		777:  func(row []string) []string { row[2], row[6] = "nobody", row[4]; return row },
		1234: func(row []string) []string { return row[:4] },
		2500: func(row []string) []string { row[7] = "perhaps"; return row },
		4321: func(row []string) []string { row[8] = "{score: 85}"; return row },
	}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	number := func() string { return fmt.Sprintf("+1555%07d", random.IntN(10_000_000)) }

	out := csv.NewWriter(w)
	rows := [][]string{{"first_name", "last_name", "email", "tags", "phone_number", "phone_type", "phone_number_2", "do_not_call_2", "custom_context"}}
	for i := range n {
		row := []string{
			pick(first...), pick(last...), fmt.Sprintf("person%d@example.com", i+1), pick("", "customer", "customer;newsletter"),
			number(), pick("mobile", "work", ""), number(), pick("yes", "no", ""), fmt.Sprintf(`{"score": %d}`, random.IntN(100)),
		}
		if mistake := wrong[i]; mistake != nil {
			row = mistake(row)
		}
		rows = append(rows, row)
	}
	return out.WriteAll(rows)
}
