package node

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"hashfeed/feed"
	"hashfeed/node/api"
)

func FuzzParseTokens(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		tokens, err := parseJSONLines(data, maxTokenFile, storedToken.check)
		if err != nil {
			return
		}
		for _, s := range tokens {
			if sum, err := hex.DecodeString(s.Sum); err != nil || len(sum) != sha256.Size || !feed.ValidName(s.Name) {
				t.Errorf("took %+v for a token", s)
			}
			for _, scope := range s.Scopes {
				if !api.ValidScope(scope) {
					t.Errorf("took scope %q", scope)
				}
			}
		}
	})
}

func FuzzParseMembers(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := parseJSONLines(data, maxMemberFile, membership.check)
		if err != nil {
			return
		}
		for _, m := range members {
			if _, err := feed.ParsePeerID(m.PeerID); err != nil {
				t.Errorf("took %q for a member: %v", m.PeerID, err)
			}
		}
	})
}

func FuzzParseQueue(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		reports, err := parseJSONLines(data, maxReportFile, queued.check)
		if err != nil {
			return
		}
		for _, q := range reports {
			record, err := q.record()
			if err != nil {
				t.Fatalf("took %+v for a report: %v", q, err)
			}
			if h, err := feed.ParseHead(record.Head); err != nil || h.Op != feed.OpDispute || h.Ticket == nil {
				t.Errorf("got head %+v, %v, want a dispute with a ticket", h, err)
			}
		}
	})
}

func FuzzParseDoubts(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		doubts, err := parseJSONLines(data, maxDoubtFile, doubt.check)
		if err != nil {
			return
		}
		for _, d := range doubts {
			key := d.key()
			if key.reason != feed.Runaway && key.reason != feed.Collision || key.feed == "" || key.first.Log < 1 {
				t.Errorf("took %+v for a doubt", d)
			}
		}
	})
}

func FuzzParseKnown(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		known, err := parseJSONLines(data, maxKnownFile, knownGood.check)
		if err != nil {
			return
		}
		for _, k := range known {
			hashes, err := k.hashes()
			if err != nil || len(hashes) == 0 || len(hashes) > maxKnownHashes || len(k.Name) > maxKnownName {
				t.Errorf("took %+v for a known-good file: %v", k, err)
			}
			for _, h := range hashes {
				if !h.Alg.Exact() && !h.Alg.Graded() {
					t.Errorf("took a %s", h.Alg)
				}
			}
		}
	})
}
