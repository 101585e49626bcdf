package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
)

// charterDays is how long a proposed charter holds unless another term is asked for, and maxCharterDays how long at most.
const (
	charterDays    = 365
	maxCharterDays = 3650
)

// Charter shows the newest charter of a feed.
func (n *Node) Charter(ctx context.Context, name string) (api.CharterInfo, error) {
	v, err := n.findView(name)
	if err != nil {
		return api.CharterInfo{}, err
	}
	chain := v.reading.Load().chain
	charter := chain.Newest()
	text, err := charter.Text()
	if err != nil {
		return api.CharterInfo{}, err
	}
	info := api.CharterInfo{Feed: string(v.name), Origin: string(charter.Origin()), Anchor: chain.Anchor().String(), Version: charter.Version,
		Expires: timeText(charter.Expires), DaysLeft: daysLeft(charter, n.unix()), Text: string(text), RootOnNode: v.own && n.keys.hasRoot(v.name)}
	for _, c := range chain.All() {
		info.Versions = append(info.Versions, api.CharterVersion{Version: c.Version, Expires: timeText(c.Expires), Anchor: c.Anchor().String()})
	}
	return info, nil
}

// ProposeCharter writes the next charter of an own feed, for its roots to sign. It changes nothing but that, with Close, it makes the keys of the
// next log.
func (n *Node) ProposeCharter(ctx context.Context, r api.ProposeCharter) (api.ProposedCharter, error) {
	n.signing.Lock()
	defer n.signing.Unlock()
	v, err := n.ownView(r.Feed)
	if err != nil {
		return api.ProposedCharter{}, err
	}
	chain := v.reading.Load().chain
	before, next := chain.Newest(), chain.Newest()
	next.Version++
	if err := n.amendCharter(&next, r); err != nil {
		return api.ProposedCharter{}, err
	}
	var made []newKey
	if len(next.Audience) > 0 != (next.Roster != nil) {
		if made, err = n.amendRoster(&next); err != nil {
			return api.ProposedCharter{}, err
		}
	}
	answer := api.ProposedCharter{Feed: string(v.name), Version: next.Version}
	switch {
	case r.Close:
		keys, err := n.closeLog(v, &next, r)
		if err != nil {
			return api.ProposedCharter{}, err
		}
		made = append(made, keys...)
		if answer.Past, err = n.pastCut(v, before.Log, next.Closed[before.Log-1].Size); err != nil {
			return api.ProposedCharter{}, err
		}
	case r.At != nil || r.Signers != nil:
		return api.ProposedCharter{}, badRequest(errors.New("another end, or other signers, take a new log: ask to close this one"))
	}
	p, err := feed.NewProposal(chain, next)
	if err != nil {
		return api.ProposedCharter{}, refused("%v", err)
	}
	// Only now, so that a proposal that can't be leaves no keys behind.
	if err := saveKeys(made, n.keys.passphrase); err != nil {
		return api.ProposedCharter{}, err
	}
	for _, k := range made {
		if k.signs {
			if p, err = p.Sign(k.key); err != nil {
				return api.ProposedCharter{}, err
			}
		}
	}
	answer.File, answer.Changes, answer.Wants = string(p.Bytes()), feed.Changes(before, next), quotasOf(p.Quotas(before))
	return answer, nil
}

// amendCharter changes what needs no key of this node.
func (n *Node) amendCharter(c *feed.Charter, r api.ProposeCharter) (err error) {
	if r.Days == 0 {
		r.Days = charterDays
	}
	if r.Days < 1 || r.Days > maxCharterDays {
		return badRequest(fmt.Errorf("a charter for %d days: must be 1 to %d", r.Days, maxCharterDays))
	}
	c.Expires = n.now().AddDate(0, 0, r.Days).Unix()
	if r.Contact != "" {
		if err := checkContact(r.Contact); err != nil {
			return badRequest(err)
		}
		c.Contact = r.Contact
	}
	for _, t := range []struct {
		text string
		term *feed.Term
	}{{r.Answer, &c.Answer}, {r.SoftAge, &c.SoftAge}, {r.HardAge, &c.HardAge}} {
		if t.text == "" {
			continue
		}
		if *t.term, err = feed.ParseTerm(t.text); err != nil {
			return badRequest(err)
		}
	}
	if len(r.Audience) > 0 {
		if c.Audience = slices.Clone(r.Audience); slices.Equal(r.Audience, []string{"none"}) {
			c.Audience = nil
		}
	}
	if r.Root != nil {
		if c.Root, err = parseGroup(*r.Root); err != nil {
			return err
		}
	}
	if r.Quorum == nil {
		return nil
	}
	if c.Quorum = nil; r.Quorum.K > 0 {
		g, err := parseGroup(*r.Quorum)
		if err != nil {
			return err
		}
		c.Quorum = &g
	}
	return nil
}

func parseGroup(g api.KeyGroup) (feed.KeyGroup, error) {
	parsed := feed.KeyGroup{K: g.K}
	for _, text := range g.VKeys {
		key, err := crypto.ParsePublicKey(text)
		if err != nil {
			return parsed, badRequest(err)
		}
		parsed.Keys = append(parsed.Keys, key)
	}
	return parsed, nil
}

// newKey is a key that was made and isn't stored yet.
type newKey struct {
	path  string
	key   *crypto.PrivateKey
	signs bool // the first checkpoint of a new log, at once
}

// saveKeys stores what was made.
func saveKeys(keys []newKey, passphrase []byte) error {
	for _, k := range keys {
		if err := os.MkdirAll(filepath.Dir(k.path), 0o700); err != nil {
			return err
		}
		if err := k.key.Save(k.path, passphrase); err != nil {
			return err
		}
	}
	return nil
}

// amendRoster gives a feed that gets an audience a key for its roster, and takes it from one that is for nobody else any more.
func (n *Node) amendRoster(c *feed.Charter) ([]newKey, error) {
	if len(c.Audience) == 0 {
		c.Roster = nil
		return nil, nil
	}
	name := string(c.Feed) + "/roster"
	key, err := n.keys.load(n.dir.rosterKey(c.Feed), name)
	var made []newKey
	if errors.Is(err, fs.ErrNotExist) {
		key, err = crypto.GenerateKey(name, crypto.TypeSignature)
		made = []newKey{{path: n.dir.rosterKey(c.Feed), key: key}}
	}
	if err != nil {
		return nil, err
	}
	public := key.Public()
	c.Roster = &public
	return made, nil
}

// closeLog ends the current log where a checkpoint that is held says, and has the next one begin with fresh keys: what is stolen is worth nothing
// there, and neither is what lay on this machine when it was.
func (n *Node) closeLog(v *view, c *feed.Charter, r api.ProposeCharter) ([]newKey, error) {
	end, ok := n.store.Head(c.Origin())
	if ok && r.At != nil {
		if end, ok = n.store.Seen(c.Origin(), *r.At); !ok {
			return nil, refused("no signed checkpoint of %s of size %d is held: a log can end only at one; those nearest are %s", c.Origin(), *r.At, n.sizesNear(c.Origin(), *r.At))
		}
	}
	if !ok {
		return nil, refused("%s has no checkpoint: it can't be closed", c.Origin())
	}
	c.Closed = append(c.Closed, feed.Cut{Size: end.Size, Root: end.Root})
	c.Log++
	for _, path := range []string{n.dir.signerKey(c.Feed, c.Log), n.dir.stampKey(c.Feed, c.Log)} {
		if _, err := os.Lstat(path); err == nil {
			return nil, &api.Error{Status: 409, Code: api.CodeConflict, Text: fmt.Sprintf("there are keys of log %d already, from a proposal that wasn't published", c.Log),
				Hint: fmt.Sprintf("publish that one; or remove %s and propose anew: keys that lay here may be stolen too", n.dir.logKeys(c.Feed, c.Log))}
		}
	}
	signer, err := crypto.GenerateKey(string(c.Origin()), crypto.TypeSignature)
	if err != nil {
		return nil, err
	}
	stamp, err := crypto.GenerateKey(string(c.Origin()), crypto.TypeCosignature)
	if err != nil {
		return nil, err
	}
	c.Signer, c.Stamp = feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{signer.Public()}}, stamp.Public()
	if r.Signers != nil {
		others, err := parseGroup(*r.Signers)
		if err != nil {
			return nil, err
		}
		c.Signer.K, c.Signer.Keys = others.K, append(c.Signer.Keys, others.Keys...)
	}
	return []newKey{{n.dir.signerKey(c.Feed, c.Log), signer, true}, {n.dir.stampKey(c.Feed, c.Log), stamp, false}}, nil
}

// sizesNear names the sizes of checkpoints held around one that isn't.
func (n *Node) sizesNear(origin feed.Origin, size uint64) string {
	sizes := n.store.SeenSizes(origin)
	i, _ := slices.BinarySearch(sizes, size)
	var near []string
	for _, s := range sizes[max(0, i-1):min(len(sizes), i+1)] {
		near = append(near, fmt.Sprint(s))
	}
	return strings.Join(near, " and ")
}

// pastCut is what lies past a cut of an own log, nil for nothing.
func (n *Node) pastCut(v *view, log int, cut uint64) (*api.PastCut, error) {
	origin := v.name.Log(log)
	size := n.store.Size(origin)
	if size <= cut {
		return nil, nil
	}
	past := &api.PastCut{Records: size - cut, Retracts: []api.PastRetract{}}
	for r, err := range n.store.Records(origin, cut, size-cut) {
		if err != nil {
			return nil, err
		}
		head, err := feed.ParseHead(r.Head)
		switch {
		case err != nil:
		case head.Op == feed.OpAdd, head.Op == feed.OpRevise:
			past.Adds++
		case head.Op == feed.OpRetract:
			item, ok := v.state.ItemByID(head.Item)
			if !ok {
				continue
			}
			// An item that only came past the cut goes with it.
			if first := v.state.Item(item).First(); first.Log != log || first.Index < cut {
				past.Retracts = append(past.Retracts, api.PastRetract{Ref: feed.Ref{Origin: origin, Index: r.Index}.String(),
					Item: v.name.Ref(first).String(), Reason: head.Reason.String(), Time: timeText(head.Time)})
			}
		}
	}
	return past, nil
}

func quotasOf(quotas []feed.Quota) []api.Quota {
	var all []api.Quota
	for _, q := range quotas {
		a := api.Quota{Of: q.Of, Need: q.Need, Have: len(q.Have), Missing: []string{}}
		for _, k := range q.Open {
			a.Missing = append(a.Missing, k.String())
		}
		all = append(all, a)
	}
	return all
}
