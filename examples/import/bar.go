package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// A bar shows the progress of the import on a terminal. A nil bar shows nothing.
type bar struct {
	terminal io.Writer
	size     int64 // of the file; 0: unknown
	shown    string
}

// newBar returns nil if w is not a terminal: a log has no use for a bar.
func newBar(w io.Writer, size int64) *bar {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return &bar{terminal: w, size: size}
}

// show draws the bar if it has changed. That is seldom enough to need no timer.
func (b *bar) show(offset int64, rows int) {
	const width = 30
	const every = 100 // rows
	if b == nil || rows%every != 0 && b.shown != "" {
		return
	}
	text := fmt.Sprintf("%d rows", rows)
	if b.size > 0 {
		done := min(float64(offset)/float64(b.size), 1)
		full := int(done * width)
		text = fmt.Sprintf("[%s%s] %3.0f %%  %s", strings.Repeat("#", full), strings.Repeat("-", width-full), done*100, text)
	}
	if text != b.shown {
		fmt.Fprint(b.terminal, "\r", text)
		b.shown = text
	}
}

// clear removes the bar until the next show.
func (b *bar) clear() {
	if b != nil && b.shown != "" {
		fmt.Fprint(b.terminal, "\r", strings.Repeat(" ", len(b.shown)), "\r")
		b.shown = ""
	}
}
