package node

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// PublishCharter takes a signed charter into force and tells everyone. Where it closes a log, the new one is opened, the suspensions in force get
// the new signers' signatures, and the retractions past the cut that r names are repeated.
//
// Each step is durable by itself, and what is done already isn't done again: after a failure the same call does the rest.
func (n *Node) PublishCharter(ctx context.Context, r api.PublishCharter) (api.PublishedCharter, error) {
	p, err := feed.ParseProposal([]byte(r.File))
	if err != nil {
		return api.PublishedCharter{}, badRequest(err)
	}
	charter := p.Charter()
	n.signing.Lock()
	defer n.signing.Unlock()
	v, err := n.ownView(string(charter.Feed))
	if err != nil {
		return api.PublishedCharter{}, err
	}
	chain := v.reading.Load().chain
	held, err := isHeld(chain, charter)
	if err != nil {
		return api.PublishedCharter{}, err
	}
	next := chain
	if !held {
		if next, err = n.nextChain(ctx, v, p); err != nil {
			return api.PublishedCharter{}, err
		}
	}
	if left, err := n.unfinished(next); err != nil {
		return api.PublishedCharter{}, err
	} else if held && !left {
		return api.PublishedCharter{}, conflict("version %d of %s is published already", charter.Version, charter.Feed)
	}
	answer := api.PublishedCharter{Feed: string(charter.Feed), Origin: string(charter.Origin()), Version: charter.Version, Expires: timeText(charter.Expires)}
	var repeat []repeatedRetract
	closes := closesLog(next)
	if closes {
		log := charter.Log - 1
		if answer.Past, err = n.pastCut(v, log, charter.Closed[log-1].Size); err != nil {
			return answer, err
		}
		if repeat, err = chooseRepeats(answer.Past, r.Repeat); err != nil {
			return answer, err
		}
	} else if len(r.Repeat) > 0 {
		return answer, badRequest(fmt.Errorf("version %d closes no log: there is nothing to repeat", charter.Version))
	}
	var opening *feed.Batch
	if closes {
		// Before anything is stored, so that a charter whose log nobody here can open isn't published.
		keys, err := n.keys.signing(next)
		if err != nil {
			return answer, err
		}
		if opening, err = feed.OpenLog(keys, p.Opening(), n.unix()); err != nil {
			return answer, refused("%v", err)
		}
	}
	if !held {
		if err := n.store.SetChain(next); err != nil {
			return answer, err
		}
		n.log.Info("charter published", "feed", charter.Feed, "version", charter.Version)
	}
	if !closes {
		return answer, nil
	}
	if _, ok := n.store.Head(charter.Origin()); !ok {
		if err := n.store.Commit(opening); err != nil {
			return answer, err
		}
		answer.Opened = true
	}
	if answer.Suspensions, err = n.repeatSuspensions(next); err != nil {
		return answer, fmt.Errorf("the charter is published; repeat suspensions: %w", err)
	}
	if answer.Retracted, err = n.repeatRetracts(ctx, charter.Feed, repeat); err != nil {
		return answer, fmt.Errorf("the charter is published; repeat retractions: %w", err)
	}
	return answer, nil
}

// isHeld reports whether a charter is the newest of a chain. An older one, or another text of a version that is out, is an error: two texts of one
// version are evidence against their publisher, and freeze the feed everywhere.
func isHeld(chain *feed.Chain, c feed.Charter) (bool, error) {
	newest := chain.Newest()
	if c.Version > newest.Version {
		return false, nil
	}
	for _, old := range chain.All() {
		if old.Version == c.Version && old.Anchor() == c.Anchor() {
			if c.Version == newest.Version {
				return true, nil
			}
			return false, conflict("version %d of %s is published already, and so is version %d", c.Version, c.Feed, newest.Version)
		}
	}
	return false, &api.Error{Status: 409, Code: api.CodeConflict,
		Text: fmt.Sprintf("version %d of %s is published already, with another text: two texts of one version would freeze the feed everywhere", c.Version, c.Feed),
		Hint: "destroy this file and its signatures; hashfeed feed charter propose writes the next version"}
}

// nextChain is the chain with what is proposed, if everything speaks for publishing it.
func (n *Node) nextChain(ctx context.Context, v *view, p feed.Proposal) (*feed.Chain, error) {
	chain, charter := v.reading.Load().chain, p.Charter()
	newest := chain.Newest()
	if charter.Version == newest.Version+1 {
		if missing := missingText(p.Quotas(newest)); missing != "" {
			return nil, &api.Error{Status: 422, Code: api.CodeRefused, Text: "the charter isn't signed by enough: " + missing,
				Hint: "hashfeed feed charter sign FILE --key KEYFILE, where the key is"}
		}
	}
	next, err := chain.Extend(p.Note())
	if err != nil {
		return nil, refused("%v", err)
	}
	if charter.Expired(n.unix()) {
		return nil, refused("the charter expired on %s: propose another", timeText(charter.Expires))
	}
	if charter.Log != newest.Log {
		cut := charter.Closed[newest.Log-1]
		end, ok := n.store.Seen(newest.Origin(), cut.Size)
		if !ok || end.Root != cut.Root {
			return nil, refused("the charter closes %s at a checkpoint of size %d that was never signed", newest.Origin(), cut.Size)
		}
		// A thief's records may be why no member knows less than we do; then closing the log is the remedy, and the operator says so.
		if api.Alone(ctx) {
			return next, nil
		}
	}
	if f := v.frozen.Load(); f != nil {
		if !f.ended(next) {
			return nil, refused("feed %s is frozen, and this charter doesn't end that: %s", v.name, f.text(n.dir))
		}
		return next, nil // members were heard: the evidence is of what they have
	}
	// Should this be an old copy, there may be another text of this version elsewhere.
	return next, n.maySign(ctx, v)
}

// missingText says whose signatures are missing, "" if none are.
func missingText(quotas []feed.Quota) string {
	var groups []string
	for _, q := range quotas {
		if q.Met() {
			continue
		}
		var keys []string
		for _, k := range q.Open {
			keys = append(keys, k.String())
		}
		groups = append(groups, fmt.Sprintf("%d of %d of the %s, by %s", q.Need-len(q.Have), q.Need, q.Of, strings.Join(keys, " or ")))
	}
	return strings.Join(groups, "; ")
}

// closesLog reports whether the newest charter of a chain is the one that closed a log.
func closesLog(chain *feed.Chain) bool {
	all := chain.All()
	return len(all) > 1 && all[len(all)-1].Log != all[len(all)-2].Log
}

// suspensionSkew is how many seconds a suspension's time may lie ahead of our clock (WIRE §5).
const suspensionSkew = 300

// unfinished reports whether the newest charter's log waits to be opened, or a suspension to be repeated.
func (n *Node) unfinished(chain *feed.Chain) (bool, error) {
	if _, ok := n.store.Head(chain.Newest().Origin()); !ok {
		return true, nil
	}
	notes, err := n.unrepeated(chain)
	return len(notes) > 0, err
}

// unrepeated are the suspensions in force that signers of the log before have signed, and none of the newest charter's.
func (n *Node) unrepeated(chain *feed.Chain) ([]feed.Suspension, error) {
	if !closesLog(chain) {
		return nil, nil
	}
	notes := chain.Notes()
	before, err := feed.OpenChain(chain.Anchor(), notes[:len(notes)-1])
	if err != nil {
		return nil, err
	}
	var all []feed.Suspension
	for _, s := range n.store.Suspensions(chain.Feed()) {
		then, err := before.OpenSuspension(s.Bytes())
		if err != nil {
			return nil, err
		}
		now, err := chain.OpenSuspension(s.Bytes())
		if err != nil {
			return nil, err
		}
		// One that is dated ahead is a thief's: a hold that begins after the theft is over.
		inForce := s.Time <= n.unix()+suspensionSkew && n.unix() < s.Time+suspensionSeconds
		if inForce && len(then.Signers) > 0 && len(now.Signers) == 0 {
			all = append(all, s)
		}
	}
	return all, nil
}

// repeatSuspensions signs the suspensions in force with a new signer. Their texts, and so their ends, stay the same. Those of a stolen signer are
// among them: a wrong hold of at most 72 hours costs less than an innocent picture that blocks again.
func (n *Node) repeatSuspensions(chain *feed.Chain) (int, error) {
	notes, err := n.unrepeated(chain)
	if err != nil || len(notes) == 0 {
		return 0, err
	}
	keys, err := n.keys.signing(chain)
	if err != nil {
		return 0, err
	}
	for i, s := range notes {
		again, err := feed.SignSuspension(chain, s.Items, s.Time, keys.Signers[:1]...)
		if err != nil {
			return i, err
		}
		if err := n.store.Suspend(again); err != nil {
			return i, err
		}
	}
	return len(notes), nil
}

// repeatedRetract is a retraction to be repeated.
type repeatedRetract struct {
	item   feed.Ref
	reason feed.Reason
}

// chooseRepeats takes the operator's choice of what to repeat. There has to be one where anything lies past the cut: nothing tells a thief's
// retractions from honest ones, and what is not named loses its effect.
func chooseRepeats(past *api.PastCut, choice []string) ([]repeatedRetract, error) {
	if past == nil {
		if len(choice) > 0 {
			return nil, badRequest(fmt.Errorf("nothing lies past the cut: there is nothing to repeat"))
		}
		return nil, nil
	}
	if len(choice) == 0 {
		text := fmt.Sprintf("%d records lie past the cut and lose their effect, %d adds or revises among them", past.Records, past.Adds)
		for _, r := range past.Retracts {
			text += fmt.Sprintf("; %s retracts %s (%s, %s)", r.Ref, r.Item, r.Reason, r.Time)
		}
		return nil, &api.Error{Status: 422, Code: api.CodeIncomplete, Text: text,
			Hint: "say which retractions are honest and are to be repeated in the new log: --repeat all, --repeat none, or --repeat REF,REF"}
	}
	all := slices.Equal(choice, []string{"all"})
	unknown := map[string]bool{}
	if !all && !slices.Equal(choice, []string{"none"}) {
		for _, ref := range choice {
			unknown[ref] = true
		}
	}
	var chosen []repeatedRetract
	for _, r := range past.Retracts {
		if !all && !unknown[r.Ref] {
			continue
		}
		delete(unknown, r.Ref)
		item, err := feed.ParseRef(r.Item)
		if err != nil {
			return nil, err
		}
		reason, err := feed.ParseReason(r.Reason)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, repeatedRetract{item, reason})
	}
	for ref := range unknown {
		return nil, badRequest(fmt.Errorf("repeat %.80q: no retraction past the cut of an item before it, and neither all nor none", ref))
	}
	return chosen, nil
}

// repeatRetracts retracts in the new log what isn't retracted there.
func (n *Node) repeatRetracts(ctx context.Context, name feed.Name, repeat []repeatedRetract) ([]string, error) {
	v := n.viewNamed(name) // the charter may have had it made anew
	if v == nil {
		return nil, notFound("there is no feed %s here", name)
	}
	var records []feed.Record
	for _, r := range repeat {
		item, ok := v.state.ItemAt(r.item.Position())
		if !ok || v.state.Item(item).Retracted() {
			continue
		}
		record, err := n.retraction(v.state.Item(item), r.reason)
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	if len(records) == 0 {
		return nil, nil
	}
	done, err := n.sign(ctx, v, records)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, r := range done.refs {
		texts = append(texts, r.String())
	}
	return texts, nil
}
