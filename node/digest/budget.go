package digest

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// A Budget is the memory that decoders use together. Whoever decodes takes what
// its picture may cost from it and waits, first come, first served, until that
// much is free. Without it a hundred small files that unpack to a hundred
// megapixels each would be 40 GB. A Budget may be used by any number of goroutines.
type Budget struct {
	bytes int64
	free  *semaphore.Weighted
}

// DefaultBudget is that of the process, of DefaultBudgetBytes.
var DefaultBudget = NewBudget(DefaultBudgetBytes)

// NewBudget returns a budget of that many bytes, at least 0.
func NewBudget(bytes int64) *Budget {
	bytes = max(bytes, 0)
	return &Budget{bytes: bytes, free: semaphore.NewWeighted(bytes)}
}

// take waits until cost bytes are free and returns the func that gives them
// back. It reports false at once if the budget can never afford them. An error is that of ctx.
func (b *Budget) take(ctx context.Context, cost int64) (give func(), ok bool, err error) {
	if cost > b.bytes {
		return nil, false, nil
	}
	if err := b.free.Acquire(ctx, cost); err != nil {
		return nil, false, err
	}
	return func() { b.free.Release(cost) }, true, nil
}
