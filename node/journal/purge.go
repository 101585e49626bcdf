package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"hashfeed/node/policy"
)

// Keep is how long lines are kept, by class. What people did is kept as long as the longest of block and review; imports, counts and notes, which tell of
// nobody, for ever.
type Keep struct {
	Block, Review, Log, Uploads time.Duration
}

// of is how long a line is kept; 0: for ever.
func (k Keep) of(l *Line) time.Duration {
	switch {
	case l.Upload != nil:
		return k.Uploads
	case l.Act != nil:
		return max(k.Block, k.Review)
	case l.Decision == nil:
		return 0
	case l.Decision.Verdict == policy.OutcomeBlock:
		return k.Block
	case l.Decision.Verdict == policy.OutcomeReview:
		return k.Review
	}
	return k.Log
}

// digest is the hash of the last line that p stands for.
func (p *Purged) digest() (d digest) {
	hex.Decode(d[:], []byte(p.Hash)) // what isn't hex is no line's hash
	return d
}

// Purge puts a stub in the place of each run of lines whose time is over, and says how many lines went.
func (j *Journal) Purge(ctx context.Context, keep Keep) (gone int, err error) {
	now := j.now()
	names, err := listFiles(j.o.Dir)
	if err != nil {
		return 0, err
	}
	for i, name := range names {
		if err := ctx.Err(); err != nil {
			return gone, err
		}
		n, err := j.purgeFile(name, i == len(names)-1, keep, now)
		gone += n
		if err != nil {
			return gone, fmt.Errorf("purge journal: %w", err)
		}
	}
	return gone, nil
}

func (j *Journal) purgeFile(name string, newest bool, keep Keep, now time.Time) (gone int, err error) {
	data, err := readFile(j.o.Dir, name)
	if err != nil {
		return 0, err
	}
	out, gone := j.stubbed(data, keep, now)
	if gone == 0 {
		return 0, nil
	}
	if newest { // it may have grown, and must not grow meanwhile
		j.writing.Lock()
		defer j.writing.Unlock()
		if err := j.closeFileLocked(); err != nil {
			return 0, err
		}
		if data, err = readFile(j.o.Dir, name); err != nil {
			return 0, err
		}
		out, gone = j.stubbed(data, keep, now)
	}
	return gone, renameio.WriteFile(filepath.Join(j.o.Dir, name), out, 0o600)
}

// stubbed is a file without what is over. A line that can't be read stays, for Verify to tell of.
func (j *Journal) stubbed(data []byte, keep Keep, now time.Time) (out []byte, gone int) {
	lines, rest := splitLines(data)
	var stub *Line
	flush := func() {
		if stub == nil {
			return
		}
		stub.Purged.MAC = j.o.Key.purgedMAC(stub.Seq, stub.Prev, stub.Purged)
		var prev digest
		hex.Decode(prev[:], []byte(stub.Prev))
		if text, err := tail(stub); err == nil { // it always has a form
			out = appendLine(out, stub.Seq, prev, "", text)
		}
		stub = nil
	}
	for _, line := range lines {
		l, err := ParseLine(line)
		if err == nil && l.Purged != nil && l.Purged.MAC != j.o.Key.purgedMAC(l.Seq, l.Prev, l.Purged) {
			err = errLine // it must not get a good one from us
		}
		term := time.Duration(0)
		if err == nil {
			term = keep.of(&l)
		}
		over := term > 0 && now.Sub(l.Time) > term
		if !over && l.Purged == nil || err != nil || stub != nil && (l.Seq != stub.Purged.To+1 || l.Prev != stub.Purged.Hash) {
			flush()
		}
		switch {
		case err != nil || !over && l.Purged == nil:
			out = append(append(out, line...), '\n')
			continue
		case over:
			gone++
		}
		to, hash := l.Seq, digest(sha256.Sum256(line)).String()
		if l.Purged != nil {
			to, hash = l.Purged.To, l.Purged.Hash
		}
		if stub == nil {
			stub = &Line{Seq: l.Seq, Prev: l.Prev, Time: now, Kind: KindPurged, Purged: &Purged{}}
		}
		stub.Purged.To, stub.Purged.Hash, stub.Purged.Lines = to, hash, to-stub.Seq+1
	}
	flush()
	return append(out, bytes.Clone(rest)...), gone
}
