package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
)

func sealed(t testing.TB, plain, passphrase []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewSealWriter(&b, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte{1}); err == nil {
		t.Error("write after close: got no error")
	}
	return b.Bytes()
}

func unsealed(data, passphrase []byte) ([]byte, error) {
	r, err := OpenSealed(bytes.NewReader(data), passphrase)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// TestSealedStream: what goes in comes out, whatever the length and the pieces in which it is written and read.
func TestSealedStream(t *testing.T) {
	cheapSeals(t)
	pass := []byte("correct horse")
	for _, size := range []int{0, 1, 1000, streamPiece - 1, streamPiece, streamPiece + 1, 3 * streamPiece, 3*streamPiece + 17} {
		plain := bytes.Repeat([]byte("0123456789abcdef!"), size/17+1)[:size]
		data := sealed(t, plain, pass)
		got, err := unsealed(data, pass)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: got %d %v", size, len(got), err)
		}
		r, err := OpenSealed(iotest.OneByteReader(bytes.NewReader(data)), pass)
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(r, plain); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		if _, err := unsealed(data, []byte("another")); !errors.Is(err, ErrPassphraseWrong) {
			t.Errorf("%d bytes, another passphrase: got %v, want ErrPassphraseWrong", size, err)
		}
		if _, err := unsealed(data, nil); !errors.Is(err, ErrPassphraseNeeded) {
			t.Errorf("%d bytes, no passphrase: got %v, want ErrPassphraseNeeded", size, err)
		}
	}
	if _, err := NewSealWriter(io.Discard, nil); !errors.Is(err, ErrPassphraseNeeded) {
		t.Errorf("seal without a passphrase: got %v, want ErrPassphraseNeeded", err)
	}
}

// TestSealedStreamDamage changes each byte of the head and many behind it, cuts the file off, leaves pieces out, repeats and swaps
// them: nothing but an error comes out, and never an end as of a whole file.
func TestSealedStreamDamage(t *testing.T) {
	cheapSeals(t)
	pass := []byte("correct horse")
	data := sealed(t, bytes.Repeat([]byte{7}, 3*streamPiece+100), pass)
	start := len(data) - 4*SealOverhead - 3*streamPiece - 100
	piece := func(i int) []byte {
		from := start + i*(streamPiece+SealOverhead)
		return data[from:min(from+streamPiece+SealOverhead, len(data))]
	}
	refused := func(what string, b []byte) {
		t.Helper()
		got, err := unsealed(b, pass)
		if !errors.Is(err, ErrSealDamaged) && !errors.Is(err, ErrNotSealed) {
			t.Errorf("%s: got %d bytes, %v, want ErrSealDamaged", what, len(got), err)
		}
	}
	for i := range data {
		if i > start+50 && i < len(data)-50 && i%9973 != 0 {
			continue
		}
		for _, bit := range []byte{1, 0x20, 0x80} {
			b := bytes.Clone(data)
			b[i] ^= bit
			refused(fmt.Sprintf("byte %d of %d changed by %#x", i, len(data), bit), b)
		}
		refused(fmt.Sprintf("cut off at %d", i), data[:i])
	}
	head := data[:start]
	join := func(parts ...[]byte) []byte { return append(bytes.Clone(head), bytes.Join(parts, nil)...) }
	refused("cut off at a piece", join(piece(0), piece(1), piece(2)))
	refused("a piece left out", join(piece(0), piece(2), piece(3)))
	refused("a piece twice", join(piece(0), piece(0), piece(1), piece(2), piece(3)))
	refused("two pieces swapped", join(piece(1), piece(0), piece(2), piece(3)))
	refused("a byte more", append(bytes.Clone(data), 0))
	refused("only the head", head)
	other := sealed(t, bytes.Repeat([]byte{7}, 3*streamPiece+100), pass)
	refused("a piece of another file", join(piece(0), other[start+streamPiece+SealOverhead:start+2*(streamPiece+SealOverhead)], piece(2), piece(3)))
}

// TestSealedStreamFails: what the disk says is passed on, and is no damage.
func TestSealedStreamFails(t *testing.T) {
	cheapSeals(t)
	pass := []byte("p")
	data := sealed(t, make([]byte, 2*streamPiece), pass)
	broken := errors.New("broken disk")
	for _, at := range []int{3, 40, 300, streamPiece + 300, len(data)} {
		r, err := OpenSealed(io.MultiReader(bytes.NewReader(data[:at]), iotest.ErrReader(broken)), pass)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, broken) && !errors.Is(err, ErrSealDamaged) {
			t.Errorf("disk breaks at %d: got %v", at, err)
		}
	}
	w, err := NewSealWriter(&limited{1000}, pass)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(make([]byte, 3*streamPiece))
	if err == nil {
		t.Error("write to a full disk: got no error")
	}
	if err := w.Close(); err == nil {
		t.Error("close after it: got no error")
	}
}

type limited struct{ left int }

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, errors.New("full")
	}
	l.left -= len(p)
	return len(p), nil
}

func FuzzOpenSealed(f *testing.F) {
	cheapSeals(f)
	f.Add(sealed(f, []byte("some text"), []byte("p")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if i := bytes.Index(data, []byte("sealed argon2id ")); i >= 0 && !bytes.HasPrefix(data[i:], []byte("sealed argon2id 1 8 1 ")) {
			return // no hour of Argon2id; the limits of its cost are parseSealed's, which key files' targets go through
		}
		got, err := unsealed(data, []byte("p"))
		if err != nil {
			return
		}
		// Only who has the passphrase can make one that opens.
		if again, err := unsealed(sealed(t, got, []byte("p")), []byte("p")); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("got %x %v, want %x", again, err, got)
		}
	})
}
