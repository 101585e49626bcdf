package node

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"hashfeed/crypto"
)

// smallFrames makes frames small, so that a small snapshot has many.
func smallFrames(t testing.TB, size int) {
	was := snapshotFrame
	snapshotFrame = size
	t.Cleanup(func() { snapshotFrame = was })
}

// TestFrames: what was written is read; whatever is done to the file, what is read is a part from its beginning and an error, never io.EOF.
func TestFrames(t *testing.T) {
	smallFrames(t, 100)
	r := rand.New(rand.NewPCG(1, 1))
	key, err := crypto.GenerateSealKey()
	if err != nil {
		t.Fatal(err)
	}
	sealer := key.Sealer()
	write := func(plain []byte) []byte {
		var out bytes.Buffer
		w := newFrameWriter(&out, sealer, "a.example", func() error { return nil })
		for rest := plain; len(rest) > 0; {
			n := min(1+r.IntN(150), len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil || w.size != int64(out.Len()) {
			t.Fatalf("close: %v, said %d bytes, wrote %d", err, w.size, out.Len())
		}
		return out.Bytes()
	}
	read := func(file []byte, name string) ([]byte, error) {
		in, err := newFrameReader(bytes.NewReader(file), int64(len(file)), sealer, name)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		return io.ReadAll(in)
	}
	for _, size := range []int{0, 1, 99, 100, 101, 200, 201, 2000, 2001, 5000} {
		plain := make([]byte, size)
		for i := range plain {
			plain[i] = byte(r.Uint32())
		}
		file, other := write(plain), write(plain)
		if got, err := read(file, "a.example"); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: got %d, %v", size, len(got), err)
		}
		if _, err := read(file, "b.example"); !errors.Is(err, errSnapshotOwner) {
			t.Errorf("another node's: got %v", err)
		}
		damaged := func(what string, file []byte) {
			t.Helper()
			got, err := read(file, "a.example")
			if !errors.Is(err, errSnapshotDamaged) || !bytes.HasPrefix(plain, got) {
				t.Errorf("%d bytes, %s: got %v, and %d bytes", size, what, err, len(got))
			}
		}
		for n := range len(file) {
			if n < 200 || n%37 == 0 {
				damaged("cut off", file[:n])
				flipped := bytes.Clone(file)
				flipped[n] ^= 1 << r.IntN(8)
				damaged("flipped", flipped)
			}
		}
		damaged("a byte more", append(bytes.Clone(file), 0))
		frame := sealedFrame()
		first, second := snapshotHeadSize, snapshotHeadSize+frame
		if size > 100 {
			damaged("the last frame left out", file[:len(file)-(len(file)-snapshotHeadSize-1)%frame-1])
			damaged("the last frame twice", append(bytes.Clone(file), file[len(file)-(len(file)-snapshotHeadSize-1)%frame-1:]...))
			damaged("the first frame left out", append(bytes.Clone(file[:first]), file[second:]...))
			spliced := bytes.Clone(file)
			copy(spliced[first:second], other[first:second])
			damaged("a frame of another file", spliced)
		}
		if size > 200 {
			swapped := bytes.Clone(file)
			copy(swapped[first:], file[second:second+frame])
			copy(swapped[second:], file[first:second])
			damaged("two frames swapped", swapped)
		}
		damaged("the head of another file", append(bytes.Clone(other[:first]), file[first:]...))
	}
	// Whoever stops early leaves no goroutine behind that still reads.
	file := write(make([]byte, 5000))
	in, err := newFrameReader(bytes.NewReader(file), int64(len(file)), sealer, "a.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.ReadByte(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	// A full disk ends the writing.
	full := errors.New("full")
	w := newFrameWriter(io.Discard, sealer, "a.example", func() error { return full })
	w.Write(make([]byte, 1000))
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("on a full disk: got %v", err)
	}
}
