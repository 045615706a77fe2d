// Benchmarks compares the library with other ways to keep contacts in SQLite and
// PostgreSQL, and prints a table of the ratios.
//
//	go run .
//
// The README says what is compared, and how.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	var (
		quick  = flags.Bool("quick", false, "a smoke run: little work, one repetition, growth and ledger to 20,000; its figures mean little")
		only   = flags.String("only", "", "the rows whose name matches this `regexp`")
		reps   = flags.Int("reps", 5, "repetitions of each row, growth and the largest ledger excepted")
		growth = flags.Int("growth", 1_000_000, "contacts in the largest files, rounded down to thousands, at least 10,000")
		ledger = flags.Int("ledger", 1_000_000, "entries in the largest do-not-call ledger, at least 10,000; its lists have a tenth")
		dir    = flags.String("dir", os.TempDir(), "where the files go; they are removed at the end")
		chart  = flags.String("chart", "", "write the ratios as a chart, in SVG, into this file")
		asJSON = flags.Bool("json", false, "print JSON in place of a table, with the result of each repetition")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *quick {
		*reps, *growth, *ledger = 1, min(*growth, 20_000), min(*ledger, 20_000)
	}
	if *reps < 1 || *growth < 10*batchSize || *ledger < 10*batchSize || flags.NArg() > 0 {
		flags.Usage()
		return errors.New("there is a flag out of its range, or an argument that is no flag")
	}
	*growth -= *growth % batchSize
	match, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}

	b := &bench{quick: *quick, reps: *reps, growth: *growth, ledger: *ledger, report: &report{Figures: choose(figures(*growth, *ledger), match)}}
	if len(b.report.Figures) == 0 {
		return fmt.Errorf("-only %s: no row has such a name", *only)
	}
	if b.dir, err = os.MkdirTemp(*dir, "contacts-benchmarks-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.world, err = newWorld(ctx); err != nil {
		return err
	}
	for _, f := range b.report.Figures {
		if strings.HasSuffix(f.Name, "-floor") && b.floor == nil {
			if b.floor, err = buildFloor(ctx); err != nil {
				return err
			}
		}
	}

	if slices.ContainsFunc(b.report.Figures, (*figure).onPostgres) {
		b.postgres, err = startPostgres(ctx, b.dir)
		switch {
		case errors.Is(err, errNoPostgres):
			fmt.Fprintf(os.Stderr, "benchmarks: left out the rows of Postgres: %v\n", err)
			b.report.Figures = slices.DeleteFunc(b.report.Figures, (*figure).onPostgres)
		case err != nil:
			return err
		default:
			defer func() { err = errors.Join(err, b.postgres.stop()) }()
		}
	}

	start := time.Now()
	if err := b.run(ctx); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	if b.report.Environment, err = environment(ctx, b.dir, b.world); err != nil {
		return err
	}
	b.report.Environment = append(b.report.Environment, fact{"run", fmt.Sprintf("%d repetitions of each row, growth and the largest ledger once; quick: %t; %v in all",
		*reps, *quick, time.Since(start).Round(time.Second))})
	if *chart != "" {
		if err := writeFile(*chart, b.report.chart); err != nil {
			return err
		}
	}
	if *asJSON {
		return b.report.json(out)
	}
	return b.report.markdown(out)
}

// writeFile makes the file of what write writes. It is synced, so that the system does not
// write it while a clock runs.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Sync(), f.Close())
}
