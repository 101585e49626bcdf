package feed

import "testing"

// TestHoldPast: a retract that the log here doesn't have holds its item, also one that comes into being later, until the log has been closed
// and the next one open for 7 days.
func TestHoldPast(t *testing.T) {
	s := newStory(t, Rules{Log: 1})
	s.put(1, addOf(1, listing(1)), addOf(2, listing(2)))
	s.HoldPast(1, ItemID{1}, ItemID{3}, ItemID{9})
	s.HoldPast(1, ItemID{1})
	s.put(1, addOf(3, listing(3)))
	want := func(now int64, held ...uint32) {
		t.Helper()
		for n := range s.Items() {
			status, why := Active, ""
			for _, h := range held {
				if h == n {
					status, why = Held, WhyCut
				}
			}
			if got := s.At(n, 9, now); got.Status != status || got.Why != why {
				t.Errorf("at %d: item %d: got %v, %q, want %v, %q", now, n, got.Status, got.Why, status, why)
			}
		}
	}
	want(epoch, 0, 2)
	want(epoch+365*86400, 0, 2) // while the log is open it ends with nothing
	if err := s.SetRules(Rules{Cuts: []uint64{3}, Log: 2}); err != nil {
		t.Fatal(err)
	}
	want(epoch, 0, 2)
	s.SetOpened(2, epoch)
	want(epoch+cutHold-1, 0, 2)
	want(epoch + cutHold)
}
