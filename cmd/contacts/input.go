package main

import (
	"context"
	"io"
	"os"
)

// open opens a file to read it; - is standard input. A signal ends the wait for what
// comes through a pipe or from a terminal. The size is 0 where it is not known.
func (s *session) open(ctx context.Context, name string) (_ io.ReadCloser, size int64, err error) {
	if name == "-" {
		return s.stdin(ctx), 0, nil
	}
	f, err := await(ctx, func() (*os.File, error) { return os.Open(name) }) // a pipe opens when its other end does
	if err != nil {
		return nil, 0, err
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		return f, info.Size(), nil
	}
	return newIdleReader(ctx, f), 0, nil
}

// stdin returns standard input.
func (s *session) stdin(ctx context.Context) io.ReadCloser {
	return newIdleReader(ctx, io.NopCloser(s.in))
}

// await calls f and returns what it returns. When ctx is done it gives up: f goes on
// until the process ends.
func await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	if ctx.Err() == nil {
		done := make(chan result, 1)
		go func() {
			value, err := f()
			done <- result{value, err}
		}()
		select {
		case r := <-done:
			return r.value, r.err
		case <-ctx.Done():
		}
	}
	var none T
	return none, context.Cause(ctx)
}

// An idleReader reads a stream that may be idle for long. When ctx is done, its reads
// end.
type idleReader struct {
	io.Closer
	read func() ([]byte, error) // valid until the next call
	left []byte                 // of what was read
	err  error                  // after that
}

func newIdleReader(ctx context.Context, stream io.ReadCloser) *idleReader {
	const size = 64 << 10
	buffer := make([]byte, size) // a read that was given up may still write to it
	return &idleReader{Closer: stream, read: func() ([]byte, error) {
		return await(ctx, func() ([]byte, error) {
			n, err := stream.Read(buffer)
			return buffer[:n], err
		})
	}}
}

// Read implements [io.Reader].
func (r *idleReader) Read(p []byte) (int, error) {
	if len(r.left) == 0 && r.err == nil {
		r.left, r.err = r.read()
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	if len(r.left) > 0 {
		return n, nil
	}
	return n, r.err
}
