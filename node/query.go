package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"sync"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/digest"
	"hashfeed/node/match"
	"hashfeed/node/policy"
)

// minQuality is the quality below which a PDQ says little: such a picture is listed by nobody, and a query with it is
// looked up exactly only (the reference's rule).
const minQuality = 50

// Match answers hashes: each by itself, or together if they are all of one file.
func (n *Node) Match(ctx context.Context, hashes []feed.Hash, oneFile bool) ([]policy.Verdict, error) {
	if oneFile {
		q := n.asker()
		defer q.free()
		v, err := q.ask(policy.Question{Hashes: hashes})
		if err == nil {
			n.awaitLine(ctx, n.decided(&v, hashes, api.RefOf(ctx)))
		}
		return []policy.Verdict{v}, err
	}
	answers, err := n.Answers(ctx, feed.HashesOf(hashes))
	if err != nil {
		return nil, err
	}
	return answers.Verdicts(), nil
}

// Answers answers hashes, each by itself, as Match does. Those that match nothing cost little more than the lookup.
func (n *Node) Answers(ctx context.Context, hashes *feed.Hashes) (policy.Answers, error) {
	answers, err := n.answers(ctx, hashes)
	if err == nil {
		n.decidedAll(ctx, &answers, hashes)
	}
	return answers, err
}

// answers are Answers that nobody was given yet.
func (n *Node) answers(ctx context.Context, hashes *feed.Hashes) (policy.Answers, error) {
	q := n.asker()
	defer q.free()
	answers := policy.NewAnswers(hashes, q.misses)
	for from := 0; from < hashes.Len(); from += askChunk {
		if err := ctx.Err(); err != nil {
			return policy.Answers{}, err
		}
		to := min(from+askChunk, hashes.Len())
		for alg := feed.MD5; alg <= feed.VPDQ; alg++ {
			if !hashes.Has(alg) || !matchable(alg) {
				continue
			}
			if err := q.askAll(&answers, hashes, alg, from, to); err != nil {
				return policy.Answers{}, err
			}
		}
	}
	return answers, nil
}

// askAll asks for the hashes of a kind from … to-1, and puts the verdicts on those that match something.
func (q *asker) askAll(answers *policy.Answers, hashes *feed.Hashes, alg feed.Alg, from, to int) (err error) {
	var values []byte
	values, q.places = hashes.Of(alg, from, to, q.value[:0], q.places[:0])
	q.held = q.held[:0]
	if alg.Exact() {
		if q.held, err = q.n.tables.Holds(q.held, match.Alg(alg), values); err != nil {
			return fmt.Errorf("match %s: %w", alg, err)
		}
	}
	for k, i := range q.places {
		if len(q.held) > 0 && !q.held[k] {
			continue
		}
		q.one[0] = hashes.At(i)
		found, truncated, err := q.lookUp(q.one[:])
		if err == nil {
			found, err = q.alike(found)
		}
		if err != nil {
			return fmt.Errorf("match hash %d: %w", i, err)
		}
		if len(found) > 0 || truncated {
			answers.Judge(i, q.one[:], found, truncated, *q.policy, q.now)
		}
	}
	return nil
}

// Scan hashes a stream, which is neither kept nor written anywhere, and answers for all its hashes together.
func (n *Node) Scan(ctx context.Context, r io.Reader, ref string) (policy.Verdict, error) {
	limits := n.config.Load().Limits
	sum, err := digest.Read(ctx, r, digest.Limits{HashBytes: int64(limits.ScanBytes), DecodeBytes: int64(limits.DecodeBytes), Pixels: int64(limits.Pixels)})
	if errors.Is(err, digest.ErrTooLong) {
		return policy.Verdict{}, &api.Error{Status: http.StatusRequestEntityTooLarge, Code: api.CodeTooLarge, Text: "scan: " + err.Error()}
	}
	if err != nil {
		return policy.Verdict{}, fmt.Errorf("scan: %w", err)
	}
	q := n.asker()
	defer q.free()
	hashes := QueryHashes(sum)
	v, err := q.ask(policy.Question{Hashes: hashes, Note: sum.Note})
	if err == nil {
		n.awaitLine(ctx, n.decided(&v, hashes, ref))
	}
	return v, err
}

// QueryHashes is what a file is looked up by: all that was computed of it, whatever the quality.
func QueryHashes(s digest.Sum) []feed.Hash {
	hashes := []feed.Hash{
		{Alg: feed.MD5, Value: string(s.MD5[:])}, {Alg: feed.SHA1, Value: string(s.SHA1[:])}, {Alg: feed.SHA256, Value: string(s.SHA256[:])},
	}
	if s.PDQ != nil {
		hashes = append(hashes, feed.Hash{Alg: feed.PDQ, Value: string(s.PDQ.Hash[:]), Quality: uint8(s.PDQ.Quality)})
	}
	if s.PDQFull != nil {
		hashes = append(hashes, feed.Hash{Alg: feed.PDQFull, Value: string(s.PDQFull.Hash[:]), Quality: uint8(s.PDQFull.Quality)})
	}
	return hashes
}

// ListableHashes is what a file may be listed by. A PDQ of low quality says little and would match what it shouldn't: it
// is left out, as the notes say, and a picture that has no better one is refused, since it is next to a flat colour.
func ListableHashes(s digest.Sum) (list []feed.Hash, notes []string, err error) {
	if s.Note != "" {
		notes = append(notes, "listed by exact hashes only: "+s.Note)
	}
	graded, good := 0, 0
	for _, h := range QueryHashes(s) {
		if h.Alg.Graded() {
			graded++
			if ones := onesOf(h.Value); h.Quality < minQuality || ones < 64 || ones > 192 {
				notes = append(notes, fmt.Sprintf("%s left out: quality %d, %d of 256 bits set", h.Alg, h.Quality, ones))
				continue
			}
			good++
		}
		list = append(list, h)
	}
	if graded > 0 && good == 0 {
		return nil, nil, fmt.Errorf("low quality: its PDQ has quality %d, below %d; such a picture is never listed by its look (--hash lists exact hashes alone)",
			s.PDQ.Quality, minQuality)
	}
	return list, notes, nil
}

func onesOf(value string) (ones int) {
	for _, b := range []byte(value) {
		ones += bits.OnesCount8(b)
	}
	return ones
}

// asker asks with one outlook, for all hashes of a request.
type asker struct {
	*outlook
	n      *Node
	now    time.Time
	asked  []feed.Hash // of the question: what is counted as one upload
	asking bool        // somebody wants to know, and nothing was uploaded
	places []int       // of hashes of one kind
	one    [1]feed.Hash
	value  []byte
	held   []bool // of the hashes at places, which may be listed
	hits   []match.Hit
	found  []policy.Candidate
}

// askers are used again: without them most of an answer's memory would be theirs.
var askers = sync.Pool{New: func() any { return &asker{places: make([]int, 0, askChunk)} }}

func (n *Node) asker() *asker {
	q := askers.Get().(*asker)
	q.n, q.now = n, n.now()
	q.outlook = n.outlookAt(q.now)
	return q
}

// free gives the asker back, when all is answered.
func (q *asker) free() {
	q.n, q.outlook, q.asked, q.asking = nil, nil, nil, false
	if cap(q.found) > maxFoundKept {
		q.found = nil
	}
	clear(q.found[:cap(q.found)]) // they hold on to bodies
	askers.Put(q)
}

// ask looks a question's hashes up and lets the policy judge what they match.
func (q *asker) ask(question policy.Question) (policy.Verdict, error) {
	found, truncated, err := q.lookUp(question.Hashes)
	if err == nil {
		q.collided(question.Hashes, found)
		found, err = q.alike(found)
	}
	if err != nil {
		return policy.Verdict{}, err
	}
	about := q.questionOf(question.Hashes, truncated)
	about.File, about.Note = question.File, question.Note
	return policy.Judge(about, found, *q.policy, q.misses.Heads(), q.now), nil
}

// questionOf is the question of what was looked up.
func (q *asker) questionOf(hashes []feed.Hash, truncated bool) policy.Question {
	question := policy.Question{Hashes: hashes, Truncated: truncated, Listed: q.listed, Checked: []feed.Alg{}}
	for _, h := range hashes {
		if matchable(h.Alg) {
			question.Checked = append(question.Checked, h.Alg)
		}
	}
	return question
}

// lookUp finds what hashes match, until the next lookUp; truncated: there is more.
func (q *asker) lookUp(hashes []feed.Hash) (found []policy.Candidate, truncated bool, err error) {
	q.found, q.asked = q.found[:0], hashes
	for _, h := range hashes {
		if !matchable(h.Alg) {
			continue
		}
		distance := 0
		switch {
		case h.Alg.Graded() && h.Quality >= minQuality:
			distance = q.reach
		case h.Alg == feed.PhotoDNA:
			distance = q.square
		}
		q.value = append(q.value[:0], h.Value...)
		hits, more, err := q.n.tables.Lookup(q.hits[:0], match.Alg(h.Alg), q.value, distance)
		q.hits = hits
		if err != nil {
			return nil, false, err
		}
		truncated = truncated || more
		for _, hit := range hits {
			c, ok, err := q.candidate(h, hit, distance)
			if err != nil {
				return nil, false, err
			}
			if ok {
				q.found = append(q.found, c)
			}
		}
	}
	return q.found, truncated, nil
}

// candidate is what a hit is worth now; ok is false where it is worth nothing: retracted, pending, or listed by a body
// that isn't in force.
func (q *asker) candidate(h feed.Hash, hit match.Hit, reach int) (c policy.Candidate, ok bool, err error) {
	v := q.n.viewOf(hit.ID)
	if v == nil {
		return c, false, nil
	}
	if v.state == nil {
		distance, ok := nearestOf(v.picture, h, reach)
		return selfTestCandidate(h, distance, q.now), ok, nil
	}
	r := v.reading.Load()
	standing := v.state.At(uint32(hit.ID), r.limit, q.now.Unix())
	if standing.Status != feed.Active && standing.Status != feed.Held {
		return c, false, nil
	}
	body, err := q.n.bodyAt(v, standing.Body)
	if err != nil {
		return c, false, err
	}
	distance, ok := nearestOf(body.body.Hashes, h, reach)
	if !ok {
		return c, false, nil
	}
	charter := &r.charter
	c = policy.Candidate{
		Ref: body.ref, Hash: h, Distance: distance, Facts: body.body.Facts, Exact: body.exact, Listed: standing.Listed,
		Harm: charter.Harm, Use: charter.Use, Stamp: r.head.Stamp, SoftAge: charter.SoftAge.Duration(), HardAge: charter.HardAge.Duration(),
	}
	switch {
	case standing.Status == feed.Active:
	case standing.Why == feed.WhySuspended:
		c.Holds |= policy.HoldSuspended
	default:
		c.Holds |= policy.HoldClosedLog
	}
	if q.n.holdsKnownGood(body.body) {
		c.Holds |= policy.HoldKnownGood
	}
	if r.damage != nil {
		c.Holds |= policy.HoldDamaged // what the disk has lost may be its retraction
	}
	q.n.said.about(q.n, v, uint32(hit.ID), &c, charter.Answer.Duration(), q.now)
	if q.ran(v, uint32(hit.ID), &c) {
		c.Holds |= policy.HoldRunaway
	}
	return c, true, nil
}

// nearestOf confirms a hit against the record itself: the smallest distance of h to a hash of its kind in the body. A
// body in force need not be the one whose hash the table holds, and of exact kinds the table holds a fingerprint only.
func nearestOf(list []feed.Hash, h feed.Hash, atMost int) (distance int, ok bool) {
	distance = atMost + 1
	for _, e := range list {
		switch {
		case e.Alg != h.Alg || len(e.Value) != len(h.Value):
		case e.Value == h.Value:
			return 0, true
		case h.Alg.Graded():
			d := 0
			for i := range len(e.Value) {
				d += bits.OnesCount8(e.Value[i] ^ h.Value[i])
			}
			distance = min(distance, d)
		case h.Alg == feed.PhotoDNA:
			square := 0
			for i := range len(e.Value) {
				d := int(e.Value[i]) - int(h.Value[i])
				square += d * d
			}
			distance = min(distance, square)
		}
	}
	return distance, distance <= atMost
}
