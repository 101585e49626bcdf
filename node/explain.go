package node

import (
	"context"
	"fmt"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// Explain says which rule decides about an upload with some hashes, or with those of a record.
func (n *Node) Explain(ctx context.Context, r api.Explain) (policy.Explained, error) {
	if r.Ref != "" {
		ref, err := feed.ParseRef(r.Ref)
		if err != nil {
			return policy.Explained{}, badRequest(err)
		}
		return n.explainRecord(ref)
	}
	var hashes []feed.Hash
	for i, text := range r.Hashes {
		h, err := feed.ParseHash(text)
		if err != nil {
			return policy.Explained{}, badRequest(fmt.Errorf("hash %d: %w", i, err))
		}
		hashes = append(hashes, h)
	}
	return n.explain(hashes)
}

func (n *Node) explain(hashes []feed.Hash) (policy.Explained, error) {
	q := n.asker()
	defer q.free()
	q.asking = true
	found, truncated, err := q.lookUp(hashes)
	if err == nil {
		found, err = q.alike(found)
	}
	if err != nil {
		return policy.Explained{}, err
	}
	return policy.Explain(q.questionOf(hashes, truncated), found, *q.policy, q.now), nil
}

// explainRecord says what becomes of an upload that is exactly what a record lists.
func (n *Node) explainRecord(ref feed.Ref) (policy.Explained, error) {
	v, item, err := n.item(ref)
	if err != nil {
		return policy.Explained{}, err
	}
	nothing := func(format string, args ...any) (policy.Explained, error) {
		return policy.Explained{Ref: ref.String(), Verdict: policy.OutcomeAllow, Text: "allow: " + fmt.Sprintf(format, args...),
			Matches: []policy.MatchExplained{}, Notes: []string{}}, nil
	}
	now, limit := n.unix(), v.reading.Load().limit
	standing := v.state.At(item, limit, now)
	switch {
	case standing.Status == feed.Retracted:
		return nothing("it is retracted, and matches nothing any more")
	case standing.Status == feed.Pending && standing.Body != (feed.Position{}):
		return nothing("it says itself that it counts from a later time on, not_before")
	case standing.Status == feed.Pending:
		return nothing("it doesn't count yet: its feed's witnesses haven't cosigned it, its charter had expired, or its hashes are refused or missing here")
	}
	body, err := n.bodyAt(v, standing.Body)
	if err != nil {
		return policy.Explained{}, err
	}
	e, err := n.explain(body.body.Hashes)
	e.Ref, e.Query, e.Hashes = ref.String(), "", nil // to list its hashes is another question
	return e, err
}
