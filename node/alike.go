package node

import (
	"slices"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// alike adds to candidates which publishers say the same of their items, where the policy asks for several: by the items' own hashes, since an upload
// may be asked about by one that only one of them lists.
func (q *asker) alike(found []policy.Candidate) ([]policy.Candidate, error) {
	if q.policy.MinPublishers < 2 || len(found) == 0 {
		return found, nil
	}
	found = slices.Clone(found) // the lookups below take their place
	asking, asked := q.asking, q.asked
	defer func() { q.asking, q.asked = asking, asked }()
	q.asking = true
	known := map[feed.Ref][]string{}
	for i := range found {
		c := &found[i]
		voices, ok := known[c.Ref]
		if !ok && len(known) < maxAlike {
			v := q.n.viewNamed(c.Ref.Origin.Name())
			if v == nil || v.own {
				continue // the test picture, or one's own
			}
			body, err := q.n.bodyAt(v, c.Ref.Position())
			if err != nil {
				return nil, err
			}
			others, _, err := q.lookUp(body.body.Hashes)
			if err != nil {
				return nil, err
			}
			voices = policy.Voices(body.body.Hashes, others, *q.policy, q.now)
			known[c.Ref] = voices
		}
		c.Alike = voices
	}
	return found, nil
}
