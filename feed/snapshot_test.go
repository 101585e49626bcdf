package feed

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// TestSnapshotAsItWas: a snapshot tells of the moment at which it was taken, however long the writing takes.
func TestSnapshotAsItWas(t *testing.T) {
	s := newStory(t, Rules{Log: 1})
	s.put(1, addOf(1, listing(1)), addOf(2, listing(2)))
	s.SetSuspensions([]Suspending{{Time: epoch, Signers: [][32]byte{{1}}, Items: []Position{{1, 1}}}})
	m := s.Snapshot()
	before := written(t, m)
	s.HoldPast(1, ItemID{1}, ItemID{7})
	s.put(1, retractOf(1, 2, Position{1, 0}), retractOf(1, 3, Position{1, 0}), addOf(3, listing(3)), addOf(3, nil))
	s.SetSuspensions(nil)
	s.SetOpened(1, epoch)
	if !bytes.Equal(written(t, m), before) {
		t.Error("what came later is in the snapshot")
	}
	after := written(t, s.Snapshot())
	if bytes.Equal(after, before) {
		t.Error("what came isn't in the next")
	}
	if l, err := LoadState(bytes.NewReader(before), nil, []uint64{2}); err != nil || l.Size(1) != 2 || l.Items() != 2 {
		t.Errorf("the first one: got %v", err)
	} else if got := l.At(1, 9, epoch); got.Status != Held || got.Why != WhySuspended {
		t.Errorf("the suspended item: got %+v", got)
	}
	// The second retract of item 1 is told by no item.
	if l, err := LoadState(bytes.NewReader(after), nil, []uint64{6}); err != nil {
		t.Error(err)
	} else if n, ok := l.ItemAt(Position{1, 2}); n != 0 || !ok {
		t.Errorf("the first retract: got item %d, %v, want 0", n, ok)
	} else if _, ok := l.ItemAt(Position{1, 5}); ok {
		t.Error("a void add belongs to an item")
	}
	// Of another log nothing is believed, and of a part nothing is loaded.
	if _, err := LoadState(bytes.NewReader(after), nil, []uint64{5}); err == nil {
		t.Error("six records where there are five")
	}
	for n := range after {
		if _, err := LoadState(bytes.NewReader(after[:n]), nil, []uint64{6}); err == nil {
			t.Errorf("loaded though cut off at %d", n)
		}
	}
}

func written(t testing.TB, m *Snapshot) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSnapshotBlocks: one that takes many blocks.
func TestSnapshotBlocks(t *testing.T) {
	const count = 10_000
	s := newStory(t, Rules{Log: 1})
	body := listing(1)
	var records []Record
	for i := range count {
		id := ItemID(binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i)))
		records = append(records, record(Head{Op: OpAdd, Time: epoch + int64(i%7), Item: id, Rev: 1}, body))
	}
	s.put(1, records...)
	raw := written(t, s.Snapshot())
	l, err := LoadState(bytes.NewReader(raw), nil, []uint64{count})
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 22*count {
		t.Errorf("%d bytes for %d adds, want 22 each at most", len(raw), count)
	}
	for i := range uint32(count) {
		id := s.Item(i).ID()
		if n, ok := l.ItemByID(id); n != i || !ok || l.At(i, count, epoch) != s.At(i, count, epoch) {
			t.Fatalf("item %d: got %d, %v, %+v, want %+v", i, n, ok, l.At(i, count, epoch), s.At(i, count, epoch))
		}
	}
	if _, ok := l.ItemByID(ItemID{9}); ok {
		t.Error("found what isn't there")
	}
}

// FuzzLoadState: no bytes break it, and whatever it loads can be asked and saved.
func FuzzLoadState(f *testing.F) {
	for seed := range uint64(20) {
		w := tell(rand.New(rand.NewPCG(seed, 2)).IntN)
		s := NewState(w.rules, func(Position) ([]byte, error) { return nil, nil })
		for l, records := range w.logs {
			if cut, closed := w.rules.cut(l + 1); closed {
				records = records[:cut]
			}
			s.Append(l+1, 0, records)
		}
		s.SetSuspensions(w.notes)
		f.Add(written(f, s.Snapshot()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sizes := []uint64{20, 3000, 0, 20}
		s, err := LoadState(bytes.NewReader(data), func(Position) ([]byte, error) { return nil, nil }, sizes)
		if err != nil {
			return
		}
		for n := range s.Items() {
			s.At(n, 10, epoch)
			s.ItemByID(s.Item(n).ID())
			s.Check(1, s.Size(1), retractOf(1, 2, s.Item(n).Records()...))
		}
		for l, size := range sizes {
			for i := range size {
				s.ItemAt(Position{l + 1, i})
				s.Codes(Position{l + 1, i})
			}
		}
		restarted(t, s)
	})
}

func BenchmarkLoadState(b *testing.B) {
	const count = 1 << 20
	s := NewState(Rules{Log: 1}, nil)
	body := listing(1)
	var records []Record
	for i := range count {
		id := ItemID(binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i)*0x9e3779b97f4a7c15))
		records = append(records, record(Head{Op: OpAdd, Time: epoch, Item: id, Rev: 1}, body))
	}
	if _, err := s.Append(1, 0, records); err != nil {
		b.Fatal(err)
	}
	m := s.Snapshot()
	raw := written(b, m)
	b.Run("take", func(b *testing.B) {
		for b.Loop() {
			s.Snapshot()
		}
	})
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			written(b, m)
		}
	})
	b.Run("load", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			if _, err := LoadState(bytes.NewReader(raw), nil, []uint64{count}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
