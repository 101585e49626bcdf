package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/match"
	"hashfeed/node/policy"
)

// Status is the node's state, and what an operator should act on.
func (n *Node) Status(ctx context.Context) (api.Status, error) {
	config := n.config.Load()
	s := api.Status{Name: config.Name, Role: config.Role, Version: Version, Peers: []api.Peer{}, Tables: map[string]int{}, Index: n.index.start,
		Disputes: []api.OpenDispute{}, Alarms: []api.Alarm{}}
	var err error
	if s.Feeds, err = n.Feeds(ctx); err != nil {
		return s, err
	}
	for alg := feed.MD5; alg <= feed.VPDQ; alg++ {
		if matchable(alg) {
			s.Tables[alg.String()] = n.tables.Len(match.Alg(alg)) - selfTestHashes(alg)
		}
	}
	if net := n.network.Load(); net != nil {
		s.Peers = net.peers()
	}
	s.Disputes = n.openDisputes()
	s.Alarms = n.alarms(s.Feeds, s.Disputes)
	return s, nil
}

// alarms are what the state of the feeds and the store asks an operator to do.
func (n *Node) alarms(feeds []api.FeedInfo, disputes []api.OpenDispute) []api.Alarm {
	now := n.now()
	alarms := []api.Alarm{}
	say := func(code, about, text, remedy string, since time.Time) {
		alarms = append(alarms, api.Alarm{Code: code, Feed: about, Since: since.UTC().Format(time.RFC3339), Text: text, Remedy: remedy})
	}
	if err := n.store.Unwell(); err != nil {
		say("store", "", err.Error(), "free disk space or mend the disk, then restart the node", now)
	}
	if lost := n.store.Lost(); lost > 0 {
		say("lost-writes", "", fmt.Sprintf("the database lost its newest %d writes: receipts or erasures, where no feed is damaged", lost),
			"look for a failing disk; members send receipts again, and what is due to be erased is erased again", n.opened)
	}
	for _, v := range *n.views.Load() {
		if v == nil || v.state == nil {
			continue
		}
		r := v.reading.Load()
		if r.damage != nil {
			say(alarmDamaged, string(v.name), r.damage.Error(), "hashfeed fsck --repair", now)
		}
		if f := v.frozen.Load(); f != nil {
			say("evidence", string(v.name), f.text(n.dir), freezeRemedy, time.Unix(f.Since, 0))
		}
		alarms = append(alarms, n.charterAlarms(v, now)...)
		switch a := v.awaits.Load(); {
		case a == nil:
		case a.err != nil:
			say("pending", string(v.name), a.err.Error(), "hashfeed approve shows it; remove the file, and propose its records anew", time.Unix(a.since, 0))
		case now.Unix()-a.since > awaitWarnSeconds:
			say("approval", string(v.name), fmt.Sprintf("batch %s awaits approval, and nothing else can be proposed meanwhile", a.id),
				fmt.Sprintf("hashfeed approve %s; or hashfeed approve --withdraw %s", a.id, a.id), time.Unix(a.since, 0))
		}
		if _, stopped := v.state.Stopped(); stopped {
			say("upgrade", string(v.name), "the feed has records that need a newer version of this program", "upgrade hashfeed", now)
		}
	}
	n.careAlarms(say)
	n.alarmErasures(say)
	n.alarmDoubts(say)
	alarmDisputes(disputes, say)
	n.alarmStamps(say)
	n.notifyAlarms(say)
	for _, f := range feeds {
		if f.State == "stale" {
			say("stale", f.Origin, f.StateText, "see whether the publisher can be reached (hashfeed status)", now.Add(-time.Duration(f.AgeS)*time.Second))
		}
	}
	if net := n.network.Load(); net != nil {
		alarms = append(alarms, net.alarms()...)
	}
	return alarms
}

// awaitWarnSeconds is how long a batch may await approval before that is an alarm: members' reports wait with it, and may wait
// a day (WIRE §8).
const awaitWarnSeconds = 4 * 3600

// Feeds are the feeds that this node keeps, its own first.
func (n *Node) Feeds(ctx context.Context) ([]api.FeedInfo, error) {
	infos := []api.FeedInfo{}
	for _, v := range *n.views.Load() {
		if v != nil && v.state != nil {
			infos = append(infos, n.feedInfo(v))
		}
	}
	infos = append(infos, n.notArrived()...)
	slices.SortStableFunc(infos, func(a, b api.FeedInfo) int {
		switch {
		case a.Role == b.Role:
			return 0
		case a.Role == "own":
			return -1
		}
		return 1
	})
	return infos, nil
}

// notArrived are the feeds of the config of which nothing has come yet.
func (n *Node) notArrived() []api.FeedInfo {
	var waiting []api.FeedInfo
	for _, f := range n.config.Load().Follow {
		if n.viewNamed(feed.Name(f.Feed)) == nil {
			why := "waiting for membership: nothing has come yet"
			if w := n.network.Load(); w != nil {
				if text := w.gossip.Waiting(feed.Name(f.Feed)); text != "" {
					why = text
				}
			}
			waiting = append(waiting, api.FeedInfo{Origin: f.Feed, Anchor: f.Anchor, Harm: f.Harm, Role: "followed", State: "waiting",
				StateText: why, Audience: []string{},
				RootVKeys: []string{}, SignerVKeys: []string{}, CosignedBy: []api.Cosigner{}})
		}
	}
	return waiting
}

// Feed is one feed, by any of its names.
func (n *Node) Feed(ctx context.Context, name string) (api.FeedInfo, error) {
	v, err := n.findView(name)
	if err != nil {
		for _, f := range n.notArrived() {
			if f.Origin == name {
				return f, nil
			}
		}
		return api.FeedInfo{}, err
	}
	return n.feedInfo(v), nil
}

func (n *Node) feedInfo(v *view) api.FeedInfo {
	r := v.reading.Load()
	charter := r.chain.Newest()
	counts := v.state.Tally(r.limit, n.unix())
	info := api.FeedInfo{
		Origin: string(charter.Origin()), Anchor: r.chain.Anchor().String(), Harm: string(charter.Harm), Role: "followed",
		Size: r.head.Size, ActiveSize: r.limit, Root: fmt.Sprintf("%x", r.head.Root), AgeS: ageOf(r.head.Stamp, n.now()),
		Contact: charter.Contact, Audience: append([]string{}, charter.Audience...), StampVKey: charter.Stamp.String(),
		RootVKeys: []string{}, SignerVKeys: []string{}, Active: int(counts.Active), Retracted: int(counts.Retracted), Erased: int(counts.Erased), CosignedBy: []api.Cosigner{},
	}
	if v.own {
		info.Role = "own"
	}
	info.State, info.StateText = n.stateOf(v, n.now())
	info.Pending = int(counts.Pending)
	if info.Quorum = n.quorumOf(r); info.StateText == "" {
		info.StateText = waitText(info)
	}
	for _, k := range charter.Root.Keys {
		info.RootVKeys = append(info.RootVKeys, k.String())
	}
	for _, k := range charter.Signer.Keys {
		info.SignerVKeys = append(info.SignerVKeys, k.String())
	}
	if v.own {
		info.CosignedBy = n.cosigners(v)
		if len(charter.Audience) > 0 {
			var err error
			if info.Invite, err = n.invite(charter); err != nil {
				n.log.Error("write invite", "feed", v.name, "err", err)
			}
		}
	}
	return info
}

// headOf is what an answer says of a feed.
func (n *Node) headOf(v *view, now time.Time) policy.Head {
	r := v.reading.Load()
	state, _ := n.stateOf(v, now)
	return policy.Head{Origin: string(r.origin), Size: r.head.Size, AgeS: ageOf(r.head.Stamp, now), State: state}
}

// stateOf is a feed's state in a word, and in a sentence where the word isn't "ok".
func (n *Node) stateOf(v *view, now time.Time) (state, text string) {
	r := v.reading.Load()
	switch {
	case r.damage != nil:
		return "frozen", r.damage.Error()
	case v.frozen.Load() != nil:
		return "frozen", v.frozen.Load().text(n.dir)
	case r.head.IsZero():
		return "waiting", "no checkpoint has come yet"
	case r.charter.Expired(now.Unix()):
		return "expired", "the charter has expired: no addition counts until its publisher signs the next"
	}
	if stopped, ok := v.state.Stopped(); ok {
		return "behind", fmt.Sprintf("record %s needs a newer version of this program: nothing after it is judged", v.name.Ref(stopped))
	}
	if n.store.Size(r.origin) > r.head.Size {
		return "behind", "records are still being fetched"
	}
	if age := r.age(now); age != policy.Fresh && !v.own {
		return "stale", stampText(r.head.Stamp, now)
	}
	return "ok", ""
}
