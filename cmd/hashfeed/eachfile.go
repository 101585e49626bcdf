package main

import (
	"context"
	"iter"
	"sync"
)

// eachFile calls work for every file that walk names, up to n at a time, and take for each in the order of walk, one
// at a time. A file that walk yields with an error goes to take without work.
//
// Files are named, and done, not far ahead of the one that is taken: millions of them need no more memory than some. It ends with
// an error of take or ctx, and in any case when no work is going on any more.
func eachFile[T any](ctx context.Context, n int, walk iter.Seq2[string, error],
	work func(ctx context.Context, path string) (T, error), take func(path string, result T, err error) error) error {
	type file struct {
		path   string
		result T
		err    error
		done   chan struct{}
	}
	inOrder, waiting := make(chan *file, filesAhead*n), make(chan *file)
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group.Go(func() {
		defer close(inOrder)
		defer close(waiting)
		for path, err := range walk {
			f := &file{path: path, err: err, done: make(chan struct{})}
			select {
			case inOrder <- f:
			case <-ctx.Done():
				return
			}
			if err != nil {
				close(f.done)
				continue
			}
			select {
			case waiting <- f:
			case <-ctx.Done():
				return
			}
		}
	})
	for range n {
		group.Go(func() {
			for f := range waiting {
				f.result, f.err = work(ctx, f.path)
				close(f.done)
			}
		})
	}
	for f := range inOrder {
		select {
		case <-f.done:
		case <-ctx.Done():
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := take(f.path, f.result, f.err); err != nil {
			return err
		}
	}
	return ctx.Err()
}
