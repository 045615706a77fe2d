package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress returns a bar for rows. It is seen on a terminal alone. A total of -1 is not
// known.
func (s *session) progress(what string, total int64) *progressbar.ProgressBar {
	const throttle = 100 * time.Millisecond
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(s.errors),
		progressbar.OptionSetVisibility(s.showsProgress()),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionThrottle(throttle),
		progressbar.OptionClearOnFinish(),
	)
}

func (s *session) showsProgress() bool { return !s.Quiet && !s.JSON && isTerminal(s.errors) }
