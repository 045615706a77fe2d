package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// confirmation is of commands that cannot be undone, or that stop others.
type confirmation struct {
	Yes bool `help:"Do not ask. Needed where nobody can be asked."`
}

// ask returns nil if it may be done. what says what is done.
func (c confirmation) ask(s *session, what string) error {
	if c.Yes {
		return nil
	}
	if !isTerminal(s.in) {
		return usage("%s Give --yes where nobody can be asked", what)
	}
	fmt.Fprintf(s.errors, "%s Go on? [y/N] ", what)
	answer, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
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
