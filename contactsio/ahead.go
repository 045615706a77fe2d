package contactsio

import (
	"context"
	"iter"
	"sync"
)

// ahead has a source make the next thousand values while the caller works on those
// before, which are valid until the next ones are received. stop ends the source, and
// returns what it made in vain: after that the source does nothing more. A panic of the
// source comes out of stop, where the caller can recover it.
func ahead[T any](source iter.Seq[T]) (_ <-chan []T, stop func() []T) {
	chunks := make(chan []T)
	going, end := context.WithCancel(context.Background())
	var making sync.WaitGroup
	left, before := make([]T, 0, stepRows), make([]T, 0, stepRows)
	var panicked any
	send := func() bool {
		select {
		case chunks <- left:
			clear(before)
			left, before = before[:0], left
			return true
		case <-going.Done():
			return false
		}
	}
	making.Go(func() {
		defer close(chunks)
		defer func() { panicked = recover() }()
		for v := range source {
			left = append(left, v)
			if (len(left) == stepRows || going.Err() != nil) && !send() { // the source may be slow
				return
			}
		}
		send()
	})
	return chunks, func() []T {
		end()
		making.Wait()
		if panicked != nil {
			panic(panicked)
		}
		return left
	}
}
