package node

import (
	"context"

	"hashfeed/feed"
	"hashfeed/node/journal"
)

// DecisionReceipt is a file by which a third party checks a decision offline: the journal's line, which has the rules in force, and the proofs that
// the records were listed, signed by the journal's key. It discloses the records' hashes.
func (n *Node) DecisionReceipt(ctx context.Context, id string) ([]byte, error) {
	e, err := n.findDecision(ctx, id)
	if err != nil {
		return nil, err
	}
	var proofs [][]byte
	proved := map[string]bool{}
	for _, m := range e.Decision.Matches {
		ref, err := feed.ParseRef(m.Ref)
		if err != nil || proved[m.Ref] || ref.Origin.Name() == feed.SelfTest {
			continue
		}
		proved[m.Ref] = true
		proof, err := n.Prove(ctx, ref, true)
		if err != nil { // its body may be erased since: that it was listed can be shown all the same
			proof, err = n.Prove(ctx, ref, false)
		}
		if err != nil {
			n.log.Warn("a match can't be proved", "ref", m.Ref, "err", err)
			continue
		}
		proofs = append(proofs, proof)
	}
	return journal.SignReceipt(e.Raw, proofs, n.keys.journal.Sign)
}
