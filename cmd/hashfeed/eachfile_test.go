package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
)

// numbers yields that many files, named by their number.
func numbers(n int, named *atomic.Int64) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i := range n {
			named.Add(1)
			if !yield(strconv.Itoa(i), nil) {
				return
			}
		}
	}
}

// Results come in the order of the walk, though the first file is done last of all that may overtake it, and the walk
// waits meanwhile.
func TestEachFileOrder(t *testing.T) {
	const n, workers = 1000, 3
	var named, done, most, going atomic.Int64
	ahead := make(chan struct{})
	work := func(_ context.Context, path string) (string, error) {
		now := going.Add(1)
		defer going.Add(-1)
		for {
			if m := most.Load(); now <= m || most.CompareAndSwap(m, now) {
				break
			}
		}
		if path == "0" {
			<-ahead
		} else if done.Add(1) == filesAhead*workers {
			close(ahead)
		}
		return path + "!", nil
	}
	var got []string
	err := eachFile(context.Background(), workers, numbers(n, &named), work, func(path, result string, err error) error {
		if len(got) == 0 {
			// In the queue, in hand to it, with the workers, and taken.
			if most := int64(filesAhead*workers + workers + 2); named.Load() > most {
				t.Errorf("%d files were named before the first was done, want at most %d", named.Load(), most)
			}
		}
		if err != nil || result != path+"!" {
			t.Errorf("%s: got %q, %v", path, result, err)
		}
		got = append(got, path)
		return nil
	})
	var want []string
	for i := range n {
		want = append(want, strconv.Itoa(i))
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %d files, %v, want %d in order", len(got), err, n)
	}
	if most.Load() > workers {
		t.Errorf("got %d files at a time, want %d", most.Load(), workers)
	}
}

// Errors of the walk and of work arrive in order, and stop nothing; one of take or the context stops all.
func TestEachFileErrors(t *testing.T) {
	bad, stop := errors.New("bad"), errors.New("stop")
	walk := func(yield func(string, error) bool) {
		for i := range 100 {
			var err error
			if i%10 == 3 {
				err = bad
			}
			if !yield(strconv.Itoa(i), err) {
				return
			}
		}
	}
	work := func(_ context.Context, path string) (int, error) {
		i, _ := strconv.Atoi(path)
		if i%10 == 3 {
			t.Errorf("%s: worked on what the walk couldn't read", path)
		}
		if i%10 == 7 {
			return 0, fmt.Errorf("file %d: %w", i, bad)
		}
		return i, nil
	}
	next := 0
	err := eachFile(context.Background(), 4, walk, work, func(path string, i int, err error) error {
		wantErr := next%10 == 3 || next%10 == 7
		if path != strconv.Itoa(next) || errors.Is(err, bad) != wantErr || !wantErr && i != next {
			t.Errorf("file %d: got %s, %d, %v", next, path, i, err)
		}
		next++
		return nil
	})
	if err != nil || next != 100 {
		t.Errorf("got %d files, %v, want all 100", next, err)
	}

	taken := 0
	err = eachFile(context.Background(), 4, walk, work, func(string, int, error) error {
		if taken++; taken == 5 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || taken != 5 {
		t.Errorf("take: got %v after %d files, want stop after 5", err, taken)
	}

	ctx, cancel := context.WithCancel(context.Background())
	wait := func(ctx context.Context, _ string) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	var named atomic.Int64
	err = eachFile(ctx, 2, func(yield func(string, error) bool) {
		cancel()
		numbers(1e9, &named)(yield)
	}, wait, func(string, int, error) error { return nil })
	if !errors.Is(err, context.Canceled) || named.Load() > 1000 {
		t.Errorf("cancelled: got %v with %d files named", err, named.Load())
	}
}
