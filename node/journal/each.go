package journal

import (
	"context"
	"time"
)

// Each calls do with the decisions from since on, the newest first, with what people did about each. It takes no more memory for many.
func (j *Journal) Each(ctx context.Context, since time.Time, do func(Entry)) error {
	j.Flush()
	acts := map[string][]Line{}
	return walk(ctx, j.o.Dir, true, []string{kindMark(KindDecision), kindMark(KindAct)}, func(line []byte) bool {
		l, err := ParseLine(line)
		switch {
		case err != nil:
		case !since.IsZero() && l.Time.Before(since):
			return false
		case l.Act != nil:
			acts[l.Act.Of] = append(acts[l.Act.Of], l)
		case l.Decision != nil:
			do(entryOf(l, line, acts[l.ID]))
			delete(acts, l.ID)
		}
		return true
	})
}
