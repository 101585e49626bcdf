package feed

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestStateIsIncremental: however a State is told of a world, it comes to what the rules make of the whole.
func TestStateIsIncremental(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }
		play(t, tell(pick), pick)
	})
}

// TestStateWorlds does the same with many more worlds, drawn evenly, and checks that everything that can happen does happen in them.
func TestStateWorlds(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(1500) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := tell(r.IntN)
		play(t, w, r.IntN)
		if t.Failed() {
			t.Fatalf("world of seed %d", seed)
		}
		m := compute(w)
		for _, code := range m.void {
			seen["void "+string(code)]++
		}
		for _, code := range m.refused {
			seen["refused "+string(code)]++
		}
		seen["missing"] += len(m.missing)
		seen["erased"] += len(m.erased)
		seen["unjudged"] += int(m.unjudged)
		for _, id := range m.order {
			for _, now := range w.clocks() {
				for limit := range uint64(14) {
					st := m.at(w, id, limit, now)
					seen[st.Status.String()+" "+st.Why]++
				}
			}
			for _, e := range m.items[id].events {
				if e.head.Reinstate && e.body != nil && !e.body.gap {
					seen["reinstated"]++
				}
			}
		}
	}
	for _, want := range []string{"void cut", "void form", "void id", "void chain", "void many", "refused form", "refused order", "refused digest", "refused lowers",
		"refused baseline", "refused doubtful", "missing", "erased", "unjudged", "reinstated", "pending ", "active ", "retracted ", "held suspended", "held cut", "held stopped"} {
		if seen[want] < 5 {
			t.Errorf("%q happens %d times in all worlds, want 5 or more", want, seen[want])
		}
	}
}

func FuzzState(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		pick := picker(data)
		play(t, tell(pick), pick)
	})
}

// story is a State with a store beside it, for tests that go step by step.
type story struct {
	*testing.T
	*State
	bodies map[Position][]byte
	gone   error // what reading a body says, if anything
}

func newStory(t *testing.T, r Rules) *story {
	s := &story{T: t, bodies: map[Position][]byte{}}
	s.State = NewState(r, func(p Position) ([]byte, error) { return s.bodies[p], s.gone })
	return s
}

// listing makes a body of an md5 of each seed, or a pdq after the first.
func listing(seeds ...byte) []byte {
	b := Body{Facts: Facts{Verdict: National, Media: Image}}
	for i, seed := range seeds {
		if i == 0 {
			b.Hashes = append(b.Hashes, Hash{MD5, string(made(seed, 16)), 0})
		} else {
			b.Hashes = append(b.Hashes, Hash{PDQ, string(made(seed, 32)), 90})
		}
	}
	raw, err := NewBody([16]byte{}, b.Hashes, b.Facts, nil).Bytes()
	if err != nil {
		panic(err)
	}
	return raw
}

func record(h Head, body []byte) Record {
	if body != nil {
		h.Body = sha256.Sum256(body)
	}
	raw, err := h.Bytes()
	if err != nil {
		panic(err)
	}
	return Record{raw, body}
}

func addOf(item byte, body []byte) Record {
	return record(Head{Op: OpAdd, Time: epoch, Item: ItemID{item}, Rev: 1}, body)
}

func reviseOf(item byte, rev int, target Position, reinstate bool, body []byte) Record {
	return record(Head{Op: OpRevise, Time: epoch, Item: ItemID{item}, Rev: rev, Target: target, Reinstate: reinstate}, body)
}

func retractOf(item byte, rev int, targets ...Position) Record {
	return record(Head{Op: OpRetract, Time: epoch, Item: ItemID{item}, Rev: rev, Targets: targets, Reason: FalsePositive}, nil)
}

// put appends records to a log and stores their bodies.
func (s *story) put(log int, records ...Record) []Change {
	s.Helper()
	first := s.Size(log)
	changes, err := s.Append(log, first, records)
	if err != nil {
		s.Fatalf("append %d records to log %d: %v", len(records), log, err)
	}
	for i, r := range records {
		s.bodies[Position{log, first + uint64(i)}] = r.Body
	}
	return changes
}

// TestLife tells of one item from its add to its reinstatement, as a follower sees it.
func TestLife(t *testing.T) {
	s := newStory(t, Rules{Log: 1})
	want := func(what string, limit uint64, want Status) {
		t.Helper()
		if got := s.At(0, limit, epoch); got.Status != want {
			t.Errorf("%s: got %v, want %v", what, got.Status, want)
		}
	}
	want("nothing", math.MaxUint64, Pending)
	changes := s.put(1, addOf(1, listing(1)))
	if len(changes) != 1 || len(changes[0].List) != 1 || changes[0].Unlist != nil {
		t.Errorf("an add changes %v", changes)
	}
	want("before the quorum", 0, Pending)
	want("with the quorum", 1, Active)
	changes = s.put(1, reviseOf(1, 2, Position{1, 0}, false, listing(1, 2)))
	if len(changes) != 1 || len(changes[0].List) != 1 || changes[0].List[0].Alg != PDQ {
		t.Errorf("a revise that adds a pdq changes %v", changes)
	}
	if got := s.At(0, 1, epoch); got != (Standing{Active, Position{1, 0}, "", epoch}) {
		t.Errorf("revised above the limit: got %+v", got)
	}
	if got := s.At(0, 2, epoch); got.Body != (Position{1, 1}) {
		t.Errorf("revised below the limit: got %+v", got)
	}
	changes = s.put(1, retractOf(1, 3, Position{1, 0}, Position{1, 1}))
	if len(changes) != 1 || len(changes[0].Unlist) != 2 || changes[0].List != nil {
		t.Errorf("a retract changes %v", changes)
	}
	for limit := range uint64(4) {
		want("retracted", limit, Retracted)
	}
	if changes := s.put(1, retractOf(1, 4, Position{1, 0}, Position{1, 1})); changes != nil || s.Item(0).Rev() != 4 {
		t.Errorf("retracting once more: got %v, rev %d", changes, s.Item(0).Rev())
	}
	changes = s.put(1, reviseOf(1, 5, Position{1, 1}, true, listing(3)))
	if len(changes) != 1 || len(changes[0].List) != 1 {
		t.Errorf("a reinstate changes %v", changes)
	}
	want("reinstated above the limit", 4, Retracted)
	want("reinstated", 5, Active)
	if r, err := s.Report("a.example/b", 5, epoch); err != nil || len(r.Void) != 0 || r.Records["revise"] != 2 || r.Counts != (Counts{Active: 1}) {
		t.Errorf("report: got %+v, %v", r, err)
	}
}

// TestQuality: a quality alone changes no table, but the body in force.
func TestQuality(t *testing.T) {
	s := newStory(t, Rules{Log: 1})
	body := func(q uint8) []byte {
		raw, err := Body{Hashes: []Hash{{PDQ, string(made(1, 32)), q}}, Facts: Facts{Verdict: National, Media: Image}}.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	s.put(1, addOf(1, body(60)))
	if changes := s.put(1, reviseOf(1, 2, Position{1, 0}, false, body(90))); changes != nil {
		t.Errorf("another quality changes %v", changes)
	}
	if got := s.At(0, 2, epoch).Body; got != (Position{1, 1}) {
		t.Errorf("in force: got %v, want 1#1", got)
	}
}

// TestTurns tries records that aren't next.
func TestTurns(t *testing.T) {
	s := newStory(t, Rules{Cuts: []uint64{2, 0}, Log: 3})
	refuse := func(log int, first uint64) {
		t.Helper()
		if _, err := s.Append(log, first, []Record{addOf(9, listing(9))}); !errors.Is(err, errOutOfTurn) {
			t.Errorf("append to log %d at %d: got %v, want %v", log, first, err, errOutOfTurn)
		}
	}
	for _, log := range []int{-1, 0, 2, 3, 4, MaxLog + 1} {
		refuse(log, 0)
	}
	refuse(1, 1)
	s.put(1, addOf(1, listing(1)))
	refuse(1, 0)
	refuse(3, 0)
	s.put(1, addOf(2, listing(2)))
	s.put(3, addOf(3, listing(3)))
	s.put(1, addOf(4, listing(4))) // past the cut: at any time
	s.put(2, addOf(5, listing(5)))
	refuse(1, 2)
	refuse(4, 0)
	if s.Items() != 3 {
		t.Errorf("items: got %d, want 3", s.Items())
	}
}

func TestSetRules(t *testing.T) {
	for _, c := range []struct {
		name string
		to   Rules
		want error
	}{
		{"the same", Rules{Cuts: []uint64{1}, Log: 2}, nil},
		{"cut at its size", Rules{Cuts: []uint64{1, 2}, Log: 3}, nil},
		{"cut above its size", Rules{Cuts: []uint64{1, 3}, Log: 3}, nil},
		{"cut below its size", Rules{Cuts: []uint64{1, 1}, Log: 3}, ErrRebuild},
		{"two more", Rules{Cuts: []uint64{1, 2, 0}, Log: 4}, nil},
		{"another cut", Rules{Cuts: []uint64{2, 2}, Log: 3}, ErrRebuild},
		{"a cut undone", Rules{Log: 1}, ErrRebuild},
		{"log back", Rules{Cuts: []uint64{1}, Log: 1}, ErrRebuild},
		{"another use", Rules{Cuts: []uint64{1}, Log: 2, Review: true}, ErrRebuild},
	} {
		s := newStory(t, Rules{Cuts: []uint64{1}, Log: 2})
		s.put(1, addOf(1, listing(1)))
		s.put(2, addOf(2, listing(2)), addOf(3, listing(3)))
		if err := s.SetRules(c.to); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if got := s.At(1, 0, epoch).Status; (got == Active) != (c.want == nil && c.to.Log > 2) {
			t.Errorf("%s: record 2#0 at limit 0: got %v", c.name, got)
		}
	}
	// The State keeps no slice of its caller's.
	r := Rules{Cuts: []uint64{1}, Log: 2}
	s := newStory(t, r)
	r.Cuts[0] = 0
	if s.put(1, addOf(1, listing(1))); s.Items() != 1 {
		t.Error("the cut moved with the caller's slice")
	}
}

// TestUnreadable: records act though earlier bodies can't be read. A retraction retracts; what a revise can't be compared with is missing
// until it comes again.
func TestUnreadable(t *testing.T) {
	s := newStory(t, Rules{Log: 1})
	s.put(1, addOf(1, listing(1)), addOf(2, listing(2)), addOf(3, listing(3)))
	s.put(1, reviseOf(2, 2, Position{1, 1}, false, listing(4))) // refused: drops a hash
	s.gone = errors.New("disk")
	changes, err := s.Append(1, 4, []Record{
		retractOf(1, 2, Position{1, 0}), reviseOf(2, 3, Position{1, 3}, false, listing(2, 3)), addOf(4, listing(4)), retractOf(3, 2, Position{1, 2}),
	})
	var lost BodyError
	if !errors.Is(err, s.gone) || !errors.As(err, &lost) || lost.At != (Position{1, 0}) || s.Size(1) != 8 {
		t.Errorf("append: got %v, of %v, size %d", err, lost.At, s.Size(1))
	}
	if len(changes) != 1 || changes[0].Item != 3 || len(changes[0].List) != 1 {
		t.Errorf("append changes %v, want the add alone", changes)
	}
	for n, want := range []Status{Retracted, Pending, Retracted, Active} {
		if got := s.At(uint32(n), 9, epoch).Status; got != want {
			t.Errorf("item %d: got %v, want %v", n, got, want)
		}
	}
	s.gone = nil
	s.bodies[Position{1, 5}], s.bodies[Position{1, 6}] = listing(2, 3), listing(4)
	r, err := s.Report("a.example/b", 9, epoch)
	if err != nil || len(r.Missing) != 2 || r.Missing[0].Index != 1 || r.Missing[1].Index != 3 {
		t.Errorf("missing: got %v, %v, want both that were there", r.Missing, err)
	}
	for _, p := range []Position{{1, 1}, {1, 3}} {
		if _, err := s.SetBody(p, s.bodies[p]); err != nil {
			t.Errorf("set body of %v: %v", p, err)
		}
	}
	if got := s.At(1, 9, epoch); got.Status != Active || got.Body != (Position{1, 5}) {
		t.Errorf("with the bodies back: got %+v", got)
	}
	if r, _ := s.Report("a.example/b", 9, epoch); len(r.Missing) != 0 || len(r.Refused[RefusedLowers]) != 1 {
		t.Errorf("with the bodies back: got %+v", r)
	}
	// The same for a body that is simply not there.
	delete(s.bodies, Position{1, 6})
	if _, err := s.Append(1, 8, []Record{reviseOf(4, 2, Position{1, 6}, false, listing(4))}); !errors.Is(err, errBodyGone) || s.At(3, 9, epoch).Status != Pending {
		t.Errorf("revise of what is gone: got %v, %+v, want %v", err, s.At(3, 9, epoch), errBodyGone)
	}
	// A report names what it can't read, and is complete but for that.
	if r, err := s.Report("a.example/b", 9, epoch); err != nil || r.Counts != (Counts{Active: 1, Pending: 1, Retracted: 2}) {
		t.Errorf("report: got %+v, %v", r.Counts, err)
	}
	s.gone = errors.New("disk")
	if r, err := s.Report("a.example/b", 9, epoch); !errors.Is(err, s.gone) || r.Counts.Active != 1 || len(r.Items) != 1 || r.Items[0].Hashes == nil {
		t.Errorf("report beside an unreadable body: got %+v, %v", r, err)
	}
}

// TestSetBodyErrors: only adds and revises in effect have a body to set.
func TestSetBodyErrors(t *testing.T) {
	s := newStory(t, Rules{Log: 1})
	s.put(1, addOf(1, listing(1)), addOf(1, listing(1)), retractOf(1, 2, Position{1, 0}), Record{Head: []byte{0}})
	for _, p := range []Position{{}, {1, 1}, {1, 2}, {1, 3}, {1, 4}, {2, 0}, {-1, 0}, {1, math.MaxUint64}} {
		if changes, err := s.SetBody(p, listing(1)); err == nil {
			t.Errorf("set body of %v: got %v, want an error", p, changes)
		}
	}
	if changes, err := s.SetBody(Position{1, 0}, listing(1)); changes != nil || err != nil {
		t.Errorf("set a body that is there: got %v, %v", changes, err)
	}
	// A late body that can't be judged changes nothing.
	s.put(1, addOf(2, listing(2)), reviseOf(2, 2, Position{1, 4}, false, nil))
	s.gone = errors.New("disk")
	if _, err := s.SetBody(Position{1, 5}, listing(2, 3)); !errors.Is(err, s.gone) {
		t.Errorf("late body beside an unreadable one: got %v", err)
	}
	s.gone = nil
	if changes, err := s.SetBody(Position{1, 5}, listing(2, 3)); err != nil || len(changes) != 1 || len(changes[0].List) != 1 {
		t.Errorf("late body: got %v, %v", changes, err)
	}
	// One that was in force and is damaged: its record is missing again, whether or not it can still be read.
	s.gone = errors.New("disk")
	if _, err := s.SetBody(Position{1, 5}, nil); err == nil || s.At(1, 9, epoch).Status != Active {
		t.Errorf("damaged body beside an unreadable one: got %v, %+v", err, s.At(1, 9, epoch))
	}
	s.gone = nil
	delete(s.bodies, Position{1, 5})
	if _, err := s.SetBody(Position{1, 5}, nil); err != nil || s.At(1, 9, epoch).Status != Pending {
		t.Errorf("damaged body: got %v, %+v", err, s.At(1, 9, epoch))
	}
}

// TestFarTimes: no stamp and no clock is so far that sums overflow.
func TestFarTimes(t *testing.T) {
	s := newStory(t, Rules{Cuts: []uint64{1}, Log: 2})
	s.put(1, addOf(1, listing(1)), retractOf(1, 2, Position{1, 0}))
	s.SetOpened(2, math.MaxInt64)
	s.SetSuspensions([]Suspending{{Time: 1<<32 - 1, Signers: [][32]byte{{1}}, Items: []Position{{1, 0}}}})
	for now, want := range map[int64]string{0: WhyCut, 1<<32 - 1: WhySuspended, math.MaxInt64: WhyCut} {
		if got := s.At(0, 1, now); got.Status != Held || got.Why != want {
			t.Errorf("at %d: got %+v, want held, %q", now, got, want)
		}
	}
}

// TestSetOpened: a stamp found to be earlier replaces the one before, and touches no other log's.
func TestSetOpened(t *testing.T) {
	s := newStory(t, Rules{Cuts: []uint64{1}, Log: 2})
	s.put(1, addOf(1, listing(1)), retractOf(1, 2, Position{1, 0}), retractOf(1, 2, Position{1, 0}))
	if got := s.beyond[ItemID{1}]; !slices.Equal(got, []int{1}) {
		t.Errorf("retracts past cuts: got %v, want one of log 1, however many there are", got)
	}
	s.SetOpened(2, epoch+10)
	s.SetOpened(2, epoch)
	s.SetOpened(1, epoch+20)
	for now, want := range map[int64]Status{epoch + 7*86400 - 1: Held, epoch + 7*86400: Active} {
		if got := s.At(0, 0, now).Status; got != want {
			t.Errorf("at %d: got %v, want %v", now, got, want)
		}
	}
}

// TestSnapshot: what a reader holds stays as it was, whatever is written afterwards.
func TestSnapshot(t *testing.T) {
	s := newStory(t, Rules{Log: 1})
	s.put(1, addOf(1, listing(1)), reviseOf(1, 2, Position{1, 0}, false, listing(1, 2)), reviseOf(1, 3, Position{1, 1}, false, nil))
	type seen struct {
		it *Item
		st Standing
	}
	var all []seen
	see := func() {
		it := s.Item(0)
		all = append(all, seen{it, it.standing(edgeOf(1, MaxSize), epoch, nil)})
	}
	see()
	if _, err := s.SetBody(Position{1, 2}, listing(1, 2, 3)); err != nil {
		t.Fatal(err)
	}
	s.bodies[Position{1, 2}] = listing(1, 2, 3)
	see()
	s.put(1, reviseOf(1, 4, Position{1, 2}, false, listing(1, 2, 3, 4)))
	see()
	s.SetSuspensions([]Suspending{{epoch, Digest{}, [][32]byte{{1}}, []Position{{1, 0}}}})
	see()
	s.put(1, retractOf(1, 5, Position{1, 0}, Position{1, 1}, Position{1, 2}, Position{1, 3}))
	see()
	for i, want := range []Status{Pending, Active, Active, Held, Retracted} {
		st := all[i].it.standing(edgeOf(1, MaxSize), epoch, nil)
		if st != all[i].st || st.Status != want {
			t.Errorf("snapshot %d: got %+v, then %+v, want %v", i, all[i].st, st, want)
		}
	}
}

// TestSuspensionOnce: one note that came twice, with different signatures, is one note with both; a signer named twice is one.
func TestSuspensionOnce(t *testing.T) {
	s := newStory(t, Rules{Log: 1})
	s.put(1, addOf(1, listing(1)))
	items := []Position{{1, 0}}
	for i := range 998 {
		items = append(items, Position{2, uint64(i)})
	}
	a, b := [32]byte{1}, [32]byte{2}
	s.SetSuspensions([]Suspending{
		{epoch, Digest{1}, [][32]byte{a, a}, items[1:]}, {epoch, Digest{1}, [][32]byte{b, a}, items[1:]}, // 998 lines of each
		{epoch + 1, Digest{2}, [][32]byte{a}, []Position{{3, 0}, {3, 1}, {1 << 12, 0}}}, // 2 of these 3
		{epoch + 2, Digest{3}, [][32]byte{a}, items[:1]},                                // none
	})
	if got := s.At(0, 1, epoch+2); got.Status != Active {
		t.Errorf("over the budget: got %+v", got)
	}
	s.SetSuspensions([]Suspending{
		{epoch, Digest{1}, [][32]byte{a, a}, items[1:]}, {epoch, Digest{1}, [][32]byte{b, a}, items[1:]},
		{epoch + 2, Digest{3}, [][32]byte{b}, items[:1]},
	})
	if got := s.At(0, 1, epoch+2); got.Why != WhySuspended {
		t.Errorf("within the budget: got %+v", got)
	}
	s.SetSuspensions(nil)
	if got := s.At(0, 1, epoch+2); got.Status != Active {
		t.Errorf("without notes: got %+v", got)
	}
}

// TestCheck: what Check says of a record is what becomes of it.
func TestCheck(t *testing.T) {
	s := newStory(t, Rules{Cuts: []uint64{3}, Log: 2})
	s.put(1, addOf(1, listing(1)), addOf(2, listing(2)), retractOf(2, 2, Position{1, 1}))
	void := func(c VoidCode) func(error) bool {
		return func(err error) bool { var e VoidError; return errors.As(err, &e) && e.Code == c }
	}
	refused := func(c RefuseCode) func(error) bool {
		return func(err error) bool { var e RefusedError; return errors.As(err, &e) && e.Code == c }
	}
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	good := func(err error) bool { return err == nil }
	other := addOf(3, listing(3))
	other.Body = listing(4)
	for _, c := range []struct {
		name string
		log  int
		r    Record
		ok   func(error) bool
	}{
		{"add", 2, addOf(3, listing(3)), good},
		{"past the cut", 1, addOf(3, listing(3)), void(VoidCut)},
		{"no head", 2, Record{}, void(VoidForm)},
		{"add again", 2, addOf(1, listing(3)), void(VoidID)},
		{"revise", 2, reviseOf(1, 2, Position{1, 0}, false, listing(1, 2)), good},
		{"revise of nothing", 2, reviseOf(9, 2, Position{1, 0}, false, listing(1)), void(VoidChain)},
		{"wrong rev", 2, reviseOf(1, 3, Position{1, 0}, false, listing(1)), void(VoidChain)},
		{"wrong target", 2, reviseOf(1, 2, Position{1, 1}, false, listing(1)), void(VoidChain)},
		{"reinstate what is there", 2, reviseOf(1, 2, Position{1, 0}, true, listing(1)), void(VoidChain)},
		{"revise what is retracted", 2, reviseOf(2, 3, Position{1, 1}, false, listing(2)), void(VoidChain)},
		{"reinstate", 2, reviseOf(2, 3, Position{1, 1}, true, listing(3)), good},
		{"lowers", 2, reviseOf(1, 2, Position{1, 0}, false, listing(2)), refused(RefusedLowers)},
		{"retract", 2, retractOf(1, 2, Position{1, 0}), good},
		{"wrong targets", 2, retractOf(1, 2, Position{1, 0}, Position{1, 1}), void(VoidChain)},
		{"without body", 2, Record{Head: addOf(3, listing(3)).Head}, is(errNoBody)},
		{"another body", 2, other, is(errBodyOther)},
		{"a body for a retract", 2, Record{retractOf(1, 2, Position{1, 0}).Head, listing(1)}, is(errBodyOther)},
		{"hollow", 2, addOf(3, hollow()), refused(RefusedDigest)},
		{"not a body", 2, addOf(3, []byte{0}), refused(RefusedForm)},
		{"a later op", 2, Record{Head: encodeAny([]pair{{1, 1}, {2, 7}})}, is(errUnknownOp)},
		{"endorse", 2, record(Head{Op: OpEndorse, Subject: Subject{Origin: "a.example/b/1"}}, nil), good},
	} {
		if err := s.Check(c.log, s.Size(c.log), c.r); !c.ok(err) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	s.gone = errors.New("disk")
	if err := s.Check(2, 0, reviseOf(1, 2, Position{1, 0}, false, listing(1))); !errors.Is(err, s.gone) {
		t.Errorf("check beside an unreadable body: got %v", err)
	}
	s.gone = nil
	for rev := 2; rev <= 64; rev++ {
		target := Position{2, uint64(rev - 3)}
		if rev == 2 {
			target = Position{1, 0}
		}
		s.put(2, reviseOf(1, rev, target, false, listing(1)))
	}
	if err := s.Check(2, 63, reviseOf(1, 65, Position{2, 62}, false, listing(1))); !void(VoidMany)(err) {
		t.Errorf("the 65th: got %v", err)
	}
	s.put(2, Record{Head: encodeAny([]pair{{1, 1}, {2, 128}})})
	if err := s.Check(2, 64, addOf(3, listing(3))); !errors.Is(err, errStopped) {
		t.Errorf("after a later op: got %v", err)
	}
	if at, ok := s.Stopped(); !ok || at != (Position{2, 63}) {
		t.Errorf("stopped: got %v, %v", at, ok)
	}
}

func hollow() []byte {
	raw, err := Body{Hashes: []Hash{{MD5, string(make([]byte, 16)), 0}}, Facts: Facts{Verdict: National, Media: Image}}.Bytes()
	if err != nil {
		panic(err)
	}
	return raw
}

// TestReaders lets readers run beside the writer (with -race): they see every item before or after a record, and a retraction is for good.
func TestReaders(t *testing.T) {
	const items, readers = 3000, 4
	s := newStory(t, Rules{Log: 1})
	var mu sync.Mutex // of s.bodies: Check reads them
	s.State = NewState(Rules{Log: 1}, func(p Position) ([]byte, error) { mu.Lock(); defer mu.Unlock(); return s.bodies[p], nil })
	var stop atomic.Bool
	var wg sync.WaitGroup
	for r := range readers {
		wg.Go(func() {
			retracted := make([]bool, items)
			var count uint32
			for i := r; !stop.Load(); i++ {
				if n := s.Items(); n < count {
					t.Errorf("items: %d after %d", n, count)
				} else {
					count = n
				}
				if count == 0 {
					runtime.Gosched()
					continue
				}
				n := uint32(i*7919) % count
				it := s.Item(n)
				id := ItemID{byte(n), byte(n >> 8), 1}
				if it == nil || it.ID() != id {
					t.Errorf("item %d of %d: got %v", n, count, it)
					continue
				}
				st := s.At(n, math.MaxUint64, epoch)
				if retracted[n] && st.Status != Retracted {
					t.Errorf("item %d: %v after it was retracted", n, st.Status)
				}
				retracted[n] = st.Status == Retracted
				if got, ok := s.ItemByID(id); ok && got != n {
					t.Errorf("item by id: got %d, want %d", got, n)
				}
				if got, ok := s.ItemAt(it.First()); ok && got != n {
					t.Errorf("item at %v: got %d, want %d", it.First(), got, n)
				}
				if i%64 == 0 {
					s.Size(1)
					s.Stopped()
					if err := s.Check(1, s.Size(1), addOf(0, listing(1))); err != nil {
						t.Error(err)
					}
				}
				if i%4096 == 0 {
					if _, err := s.Report("a.example/b", 0, epoch); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	r := rand.New(rand.NewPCG(1, 2))
	var open []int
	for n := 0; n < items; {
		var batch []Record
		for range 1 + r.IntN(40) {
			if len(open) > 0 && r.IntN(3) == 0 {
				i := r.IntN(len(open))
				x := open[i]
				open = slices.Delete(open, i, i+1)
				first := s.Item(uint32(x)).First()
				batch = append(batch, record(Head{Op: OpRetract, Item: ItemID{byte(x), byte(x >> 8), 1}, Rev: 2, Targets: []Position{first}, Reason: Duplicate}, nil))
			} else if n < items {
				batch = append(batch, record(Head{Op: OpAdd, Item: ItemID{byte(n), byte(n >> 8), 1}, Rev: 1}, listing(byte(n), byte(n>>8))))
				n++
			}
		}
		first := s.Size(1)
		mu.Lock()
		for i, r := range batch {
			s.bodies[Position{1, first + uint64(i)}] = r.Body
		}
		mu.Unlock()
		if _, err := s.Append(1, first, batch); err != nil {
			t.Fatal(err)
		}
		open = open[:0]
		for x := max(0, n-50); x < n; x++ {
			if !s.Item(uint32(x)).Retracted() {
				open = append(open, x)
			}
		}
		s.SetOpened(1, int64(n))
		s.SetSuspensions([]Suspending{{epoch, Digest{}, [][32]byte{{1}}, []Position{{1, uint64(r.IntN(n))}}}})
	}
	stop.Store(true)
	wg.Wait()
	r1, err := s.Report("a.example/b", math.MaxUint64, epoch)
	if err != nil || r1.Counts.Active+r1.Counts.Held+r1.Counts.Retracted != items || r1.Counts.Retracted == 0 || len(r1.Void) != 0 {
		t.Errorf("at the end: got %+v, %v", r1.Counts, err)
	}
}

// TestIDTable fills the table beyond several of its sizes.
func TestIDTable(t *testing.T) {
	table := newIDTable()
	var ids []ItemID
	is := func(id ItemID) func(uint32) bool { return func(n uint32) bool { return ids[n] == id } }
	for n := range uint32(5000) {
		id := ItemID{byte(n), byte(n >> 8)}
		if got, ok := table.find(id, is(id)); ok {
			t.Fatalf("id %d before it is added: got %d", n, got)
		}
		ids = append(ids, id)
		table.add(id, n)
		for _, back := range []uint32{n, n / 2, 0} {
			if got, ok := table.find(ids[back], is(ids[back])); got != back || !ok {
				t.Fatalf("id %d of %d: got %d, %v", back, n, got, ok)
			}
		}
	}
}

// BenchmarkAppend applies a list of a million adds, 256 at a time, and says what an item takes.
func BenchmarkAppend(b *testing.B) {
	const items = 1 << 20
	body := listing(1, 2)
	records := make([]Record, items)
	for i := range records {
		records[i] = record(Head{Op: OpAdd, Time: epoch, Item: ItemID{byte(i), byte(i >> 8), byte(i >> 16)}, Rev: 1}, body)
	}
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		s := NewState(Rules{Log: 1}, func(Position) ([]byte, error) { return nil, nil })
		for first := 0; first < items; first += 256 {
			if _, err := s.Append(1, uint64(first), records[first:first+256]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/items, "ns/item")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/items, "B/item")
		runtime.KeepAlive(s)
	}
}

// BenchmarkAt judges items of a large state.
func BenchmarkAt(b *testing.B) {
	s := NewState(Rules{Log: 1}, func(Position) ([]byte, error) { return nil, nil })
	body := listing(1)
	for i := range 1 << 16 {
		if _, err := s.Append(1, uint64(i), []Record{record(Head{Op: OpAdd, Item: ItemID{byte(i), byte(i >> 8)}, Rev: 1}, body)}); err != nil {
			b.Fatal(err)
		}
	}
	n := uint32(0)
	for b.Loop() {
		if s.At(n*7919%(1<<16), 1<<15, epoch).Status > Active {
			b.Fatal(fmt.Sprint("item ", n))
		}
		n++
	}
}
