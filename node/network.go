package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"hashfeed/feed"
	"hashfeed/feed/store"
	"hashfeed/node/api"
	"hashfeed/node/gossip"
)

// network is what a running node has of others.
type network struct {
	node   *Node
	gossip *gossip.Network
}

// carried is the store as gossip wants it.
type carried struct{ *store.Store }

// NoteCosigned keeps what we are about to cosign. A witness takes no word back: never a smaller size, never another root.
func (c carried) NoteCosigned(origin feed.Origin, size uint64, root feed.Digest, unix int64) error {
	return c.SetCosigned(origin, store.Cosigned{Size: size, Root: root, Time: unix})
}

// join makes the network and begins to listen and dial.
func (n *Node) join(listen []string) (*network, error) {
	config := n.config.Load()
	w := &network{node: n}
	options := gossip.Options{
		Key: n.keys.node, Name: config.Name, Witness: n.keys.witness, Version: Version, Listen: listen, Hidden: config.Presence == "hidden",
		Store: carried{n.store}, Roll: n.roll, Now: n.now, Logger: n.log, Registerer: n.registry,
		Limits:   gossip.Limits{Connections: config.Limits.Connections, Streams: config.Limits.Streams},
		OnReport: n.takeReport, OnCounts: n.takeCounts, OnEvidence: n.keepEvidence, OnBranch: n.branchSeen, Evidence: n.frozenBy, OnReceipt: n.receiptCame, OnBody: n.bodyCame,
	}
	if n.simulate != nil {
		n.simulate(&options)
	}
	var err error
	if w.gossip, err = gossip.New(options); err != nil {
		return nil, err
	}
	n.network.Store(w) // before it runs: what it commits, it is told of
	if err := w.gossip.Start(context.Background()); err != nil {
		n.network.Store(nil)
		return nil, errors.Join(err, w.gossip.Close())
	}
	return w, nil
}

// roll is whom the operator knows.
func (n *Node) roll() gossip.Roll {
	config := n.config.Load()
	r := gossip.Roll{Hidden: map[feed.Name][]feed.Member{}, Names: map[string]string{}}
	for _, p := range config.Peers {
		r.Peers = append(r.Peers, gossip.Peer{ID: p.ID, Name: p.Name, Addrs: p.Addresses})
	}
	for _, f := range config.Follow {
		anchor, err := feed.ParseAnchor(f.Anchor)
		if err != nil {
			continue // the config was checked
		}
		r.Follows = append(r.Follows, gossip.Follow{Feed: feed.Name(f.Feed), Anchor: anchor, Publisher: f.Peer, Addrs: f.Addresses, Harm: feed.Harm(f.Harm)})
		if f.Peer != "" {
			r.Names[f.Peer] = feed.Name(f.Feed).Publisher()
		}
	}
	for _, v := range *n.views.Load() {
		if v == nil || !v.own {
			continue
		}
		r.Own = append(r.Own, v.name)
		members, err := n.readMembers(v.name)
		if err != nil {
			n.log.Error("read members", "feed", v.name, "err", err)
			continue
		}
		for _, m := range members {
			r.Names[m.PeerID] = m.Name
			if m.Hidden {
				r.Hidden[v.name] = append(r.Hidden[v.name], feed.Member{PeerID: m.PeerID, Expires: m.Until})
			}
		}
	}
	return r
}

func (w *network) Close() error { return w.gossip.Close() }

// changed says that the roll may have changed.
func (w *network) changed() { w.gossip.Changed() }

func (w *network) peers() []api.Peer {
	peers := []api.Peer{}
	for _, p := range w.gossip.Peers() {
		peers = append(peers, api.Peer{PeerID: p.ID, Name: p.Name, Connected: p.Connected, LatencyMS: p.Latency.Milliseconds(), Addresses: p.Addrs})
	}
	return peers
}

func (w *network) alarms() []api.Alarm {
	var alarms []api.Alarm
	for _, a := range w.gossip.Alarms() {
		if a.Code == gossip.AlarmEvidence {
			continue // the node's own says where the evidence is
		}
		alarms = append(alarms, api.Alarm{Code: a.Code, Feed: string(a.Feed), Since: a.Since.UTC().Format(time.RFC3339), Text: a.Text, Remedy: a.Remedy})
	}
	return alarms
}

// report tells a record's publisher that it is disputed; "" where it can't be told now, or where the record is our own.
func (w *network) report(ctx context.Context, ref feed.Ref, reason feed.Reason) string {
	if v := w.node.viewNamed(ref.Origin.Name()); v == nil || v.own {
		return ""
	}
	ticket, err := w.gossip.Report(ctx, ref, reason)
	if err != nil {
		w.node.log.Warn("dispute not reported to its publisher", "ref", ref.String(), "err", err)
		return ""
	}
	return hex.EncodeToString(ticket[:])
}

// addresses are where peers reach this node: bound ones while it runs, else those of the config that name one.
func (n *Node) addresses() []string {
	if w := n.network.Load(); w != nil {
		return w.gossip.Addrs()
	}
	return []string{}
}

// bodyCame lets a body act that was missing until now.
func (n *Node) bodyCame(ref feed.Ref, body []byte) {
	v := n.viewNamed(ref.Origin.Name())
	if v == nil {
		return
	}
	// The state and the tables, as a commit changes them: a snapshot has both or neither.
	err := n.store.Still(func() error {
		changes, err := v.state.SetBody(ref.Position(), body)
		if err != nil {
			return err
		}
		return n.enter(v, changes)
	})
	if err != nil {
		n.log.Error("take in a late body", "ref", ref.String(), "err", err)
	}
	if item, ok := v.state.ItemAt(ref.Position()); ok && v.state.Item(item).Retracted() {
		n.eraseSoon(v)
	}
}

// memberWait is how long a publisher that has just started waits for a member's head before it refuses to sign.
const memberWait = 5 * time.Second

// maySign is the publisher's guard against a fork: a directory that was restored from an old copy, or is run twice, knows
// less than the members do. So once members have cosigned, one of them must have been heard since the start.
func (n *Node) maySign(ctx context.Context, v *view) error {
	if err := n.refuseFrozen(v); err != nil {
		return err
	}
	if err := n.damagedToSign(v); err != nil {
		return err
	}
	copied, err := n.copied(v.name)
	if err != nil {
		return err
	}
	receipts, err := n.store.Receipts(v.reading.Load().chain.Newest().Origin())
	if err != nil {
		return fmt.Errorf("read receipts: %w", err)
	}
	wait := time.NewTimer(memberWait)
	defer wait.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for waiting := true; waiting; {
		w := n.network.Load()
		if w != nil {
			heard, err := w.gossip.HeardMember(v.name)
			if err != nil {
				return &api.Error{Status: http.StatusUnprocessableEntity, Code: api.CodeRefused, Text: err.Error(),
					Hint: "make sure that no other copy of this directory runs, then fetch what is missing: hashfeed feed recover " + string(v.name)}
			}
			if heard {
				return n.settled(v.name, copied)
			}
		}
		if n.alone.Load() || api.Alone(ctx) {
			return n.settled(v.name, copied)
		}
		if len(receipts) == 0 && !copied {
			return nil
		}
		if w == nil {
			break
		}
		select {
		case <-look.C:
		case <-wait.C:
			waiting = false
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if copied {
		return &api.Error{Status: http.StatusUnprocessableEntity, Code: api.CodeRefused,
			Text: fmt.Sprintf("feed %s was restored or mended here, and no member was heard since: what was signed meanwhile isn't known, and signing would fork the feed", v.name),
			Hint: "run the node and wait for a member (hashfeed status); --alone signs nevertheless, and is right only if nothing was signed elsewhere or since"}
	}
	return &api.Error{Status: http.StatusUnprocessableEntity, Code: api.CodeRefused,
		Text: fmt.Sprintf("%d members have stored feed %s, and none was heard since the start: should this be an old copy, signing would fork the feed", len(receipts), v.name),
		Hint: "run the node and wait for a member (hashfeed status, hashfeed feed recover); --alone signs nevertheless"}
}

// cosigners are the members that have durably stored an own feed.
func (n *Node) cosigners(v *view) []api.Cosigner {
	receipts, err := n.store.Receipts(v.reading.Load().chain.Newest().Origin())
	if err != nil {
		n.log.Error("read receipts", "feed", v.name, "err", err)
	}
	list := []api.Cosigner{}
	for _, r := range receipts {
		at, _ := r.Line.Time()
		list = append(list, api.Cosigner{Name: witnessOf(r.Line.Name), Size: r.Size, Time: timeText(int64(at))})
	}
	return list
}
