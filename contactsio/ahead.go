package contactsio

import (
	"iter"
	"sync"
)

// ahead has a source make the next thousand values while the caller works on those
// before. stop ends the source, and returns what it made in vain: after that the source
// does nothing more. A panic of the source comes out of stop, where the caller can recover
// it.
func ahead[T any](source iter.Seq[T]) (_ <-chan []T, stop func() []T) {
	chunks, stopped := make(chan []T), make(chan struct{})
	var making sync.WaitGroup
	var left []T
	var panicked any
	making.Go(func() {
		defer close(chunks)
		defer func() { panicked = recover() }()
		for v := range source {
			left = append(left, v)
			if len(left) < stepRows && !isClosed(stopped) { // the source may be slow
				continue
			}
			select {
			case chunks <- left:
				left = make([]T, 0, stepRows)
			case <-stopped:
				return
			}
		}
		select {
		case chunks <- left:
			left = nil
		case <-stopped:
		}
	})
	return chunks, func() []T {
		close(stopped)
		making.Wait()
		if panicked != nil {
			panic(panicked)
		}
		return left
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
