package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// confirmation is of commands that cannot be undone, or that stop others.
type confirmation struct {
	Yes bool `help:"Do not ask. Needed where nobody can be asked."`
}

// possible returns an error if nobody can be asked.
func (c confirmation) possible(s *session) error {
	if c.Yes || isTerminal(s.in) {
		return nil
	}
	return usage("nobody can be asked here, and nothing was done: give --yes")
}

// ask returns nil if it may be done. what says what is done.
func (c confirmation) ask(ctx context.Context, s *session, what string) error {
	if c.Yes {
		return nil
	}
	if err := c.possible(s); err != nil {
		return err
	}
	fmt.Fprintf(s.errors, "%s Go on? [y/N] ", what)
	line, _ := bufio.NewReader(s.stdin(ctx)).ReadString('\n') // no answer is no
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	default:
		return errors.New("nothing was done")
	}
}

// isTerminal reports whether a person is at the other end.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
