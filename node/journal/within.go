package journal

import (
	"context"
	"time"
)

// Within calls do with the decisions that were made from since on and before until, and with those that people acted on in that time, the newest
// first. An entry has the acts before until.
func (j *Journal) Within(ctx context.Context, since, until time.Time, do func(Entry)) error {
	j.Flush()
	acts := map[string][]Line{} // of decisions that are still to come
	wanted := map[string]bool{} // those that were acted on since
	return walk(ctx, j.o.Dir, true, []string{kindMark(KindDecision), kindMark(KindAct)}, func(line []byte) bool {
		l, err := ParseLine(line)
		if err != nil || !l.Time.Before(until) {
			return true
		}
		within := !l.Time.Before(since)
		switch {
		case l.Act != nil:
			if within {
				wanted[l.Act.Of] = true
			}
			if wanted[l.Act.Of] {
				acts[l.Act.Of] = append(acts[l.Act.Of], l)
			}
		case l.Decision != nil:
			if within || wanted[l.ID] {
				do(entryOf(l, line, acts[l.ID]))
			}
			delete(acts, l.ID)
			delete(wanted, l.ID)
		}
		// Older ones only for what is still wanted; and for an hour, by which a clock may have been set back.
		return within || len(wanted) > 0 || l.Time.After(since.Add(-time.Hour))
	})
}
