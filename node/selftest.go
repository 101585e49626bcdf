package node

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"time"

	"hashfeed/feed"
	"hashfeed/node/digest"
	"hashfeed/node/match"
	"hashfeed/node/policy"
)

// testPicture is listed by every node, with the action block, so that whoever sets up an upload pipeline can see it work:
// a harmless drawing of a target.
//
//go:embed testpicture.png
var testPicture []byte

// selfTestReach is how far in bits a picture may be from the test picture and still be it.
const selfTestReach = 31

// newSelfTest enters the test picture into the tables. Its view has no state: it isn't a feed that anybody signs.
func newSelfTest(tables *match.Tables) (*view, error) {
	sum, err := digest.Read(context.Background(), bytes.NewReader(testPicture), digest.Limits{})
	if err != nil {
		return nil, fmt.Errorf("hash the test picture: %w", err)
	}
	v := &view{name: feed.SelfTest, picture: QueryHashes(sum)}
	for _, h := range v.picture {
		if err := tables.Add(match.Alg(h.Alg), h.Bytes(), v.id(0)); err != nil {
			return nil, fmt.Errorf("list the test picture: %w", err)
		}
	}
	return v, nil
}

// selfTestHashes is how many hashes of a kind the test picture has in the tables; they are counted nowhere.
func selfTestHashes(alg feed.Alg) int {
	if alg.Exact() || alg.Graded() {
		return 1
	}
	return 0
}

// selfTestCandidate is the record of the test picture.
func selfTestCandidate(h feed.Hash, distance int, now time.Time) policy.Candidate {
	return policy.Candidate{
		Ref: feed.SelfTest.Ref(feed.Position{Log: 1}), Hash: h, Distance: distance,
		Facts: feed.Facts{Verdict: feed.Test, Media: feed.Image}, Stamp: now.Unix(), Listed: now.Unix(), Use: feed.UseMatch,
	}
}
