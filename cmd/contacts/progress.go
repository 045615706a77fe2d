package main

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"

	"example.com/contacts/contactsio"
)

// progress returns a bar for what is counted. It is seen on a terminal alone. A total
// of -1 is not known.
func (s *session) progress(what string, total int64) *progressbar.ProgressBar {
	return s.bar(what, total, progressbar.OptionShowIts())
}

// fileProgress returns a bar for the bytes and rows of a file, and what moves it. A size
// of 0 is not known.
func (s *session) fileProgress(size int64) (*progressbar.ProgressBar, func(contactsio.Progress)) {
	rows := func(n int) string { return fmt.Sprintf("rows %d", n) }
	if size == 0 {
		size = -1
	}
	bar := s.bar(rows(0), size, progressbar.OptionShowBytes(true))
	return bar, func(p contactsio.Progress) {
		bar.Describe(rows(p.Rows))
		_ = bar.Set64(p.Offset) // a bar that cannot be drawn is no reason to stop
	}
}

func (s *session) bar(what string, total int64, units progressbar.Option) *progressbar.ProgressBar {
	const throttle = 100 * time.Millisecond
	bar := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(s.errors),
		progressbar.OptionSetVisibility(s.showsProgress()),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		units,
		progressbar.OptionThrottle(throttle),
		progressbar.OptionClearOnFinish(),
	)
	_ = bar.RenderBlank() // as above
	return bar
}

func (s *session) showsProgress() bool { return !s.Quiet && !s.JSON && isTerminal(s.errors) }
