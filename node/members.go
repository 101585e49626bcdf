package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// membership is one member of an own feed as its publisher knows it: a JSON object a line, in the file beside the roster's
// key. The roster that others see has the peer id and the expiry alone.
type membership struct {
	PeerID    string `json:"peer_id"`
	Name      string `json:"name"`
	As        string `json:"as"`
	Until     int64  `json:"until"` // Unix seconds
	Contact   string `json:"contact,omitempty"`
	Agreement string `json:"agreement,omitempty"`
	Hidden    bool   `json:"hidden,omitempty"`
}

func (m membership) check() error {
	_, err := feed.ParsePeerID(m.PeerID)
	return err
}

func (n *Node) readMembers(name feed.Name) ([]membership, error) {
	return readJSONLines(n.dir.members(name), maxMemberFile, membership.check)
}

// writeMembers replaces the members of a feed, and then the roster, under which alone others let anybody read.
func (n *Node) writeMembers(v *view, members []membership) error {
	if err := writeJSONLines(n.dir.members(v.name), members); err != nil {
		return err
	}
	return n.signRoster(v, members)
}

// signRoster signs the next roster of an own feed.
func (n *Node) signRoster(v *view, members []membership) error {
	chain := v.reading.Load().chain
	if chain.Newest().Roster == nil {
		return refused("feed %s has no roster: its charter lets nobody else read it", v.name)
	}
	key, err := n.keys.load(n.dir.rosterKey(v.name), string(v.name)+"/roster")
	if err != nil {
		return err
	}
	version := 1
	if old, ok := n.store.Roster(v.name); ok {
		version = old.Version + 1
	}
	var listed []feed.Member
	for _, m := range members {
		if !m.Hidden && m.Until > n.unix() {
			listed = append(listed, feed.Member{PeerID: m.PeerID, Expires: m.Until})
		}
	}
	roster, err := feed.SignRoster(chain, version, n.unix()+feed.MaxRosterAge, listed, key, n.unix())
	if err != nil {
		return refused("%v", err)
	}
	if err := n.store.SetRoster(roster); err != nil {
		return err
	}
	if w := n.network.Load(); w != nil {
		w.changed()
	}
	return nil
}

// renewRoster signs an own feed's roster anew before it expires.
func (n *Node) renewRoster(v *view) error {
	n.signing.Lock()
	defer n.signing.Unlock()
	old, ok := n.store.Roster(v.name)
	if !ok || old.Expires-n.unix() > feed.MaxRosterAge/2 {
		return nil
	}
	members, err := n.readMembers(v.name)
	if err != nil {
		return err
	}
	return n.signRoster(v, members)
}

// Members lists who may read the own feeds.
func (n *Node) Members(ctx context.Context) ([]api.Member, error) {
	list := []api.Member{}
	for _, v := range *n.views.Load() {
		if v == nil || !v.own {
			continue
		}
		members, err := n.readMembers(v.name)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			list = append(list, api.Member{Feed: string(v.name), PeerID: m.PeerID, Name: m.Name, As: m.As, Expires: timeText(m.Until),
				Contact: m.Contact, Agreement: m.Agreement, Hidden: m.Hidden})
		}
	}
	return list, nil
}

// memberKinds are what a member can be, by the words of a charter's audience.
var memberKinds = map[string]string{"police": "police", "hotline": "hotlines", "host": "hosts"}

// AddMember lets a peer read an own feed; a second time it changes what is known of the member.
func (n *Node) AddMember(ctx context.Context, r api.AddMember) (api.Member, error) {
	if _, err := feed.ParsePeerID(r.PeerID); err != nil {
		return api.Member{}, badRequest(fmt.Errorf("peer %.80q: %w", r.PeerID, err))
	}
	if !feed.ValidName(r.Name) {
		return api.Member{}, incomplete("the member's name is missing, or isn't one: a domain of a-z, 0-9, . and -")
	}
	if r.As == "" {
		r.As = "host"
	}
	if r.Days == 0 {
		r.Days = 365
	}
	if err := checkContact(r.Contact); err != nil {
		return api.Member{}, badRequest(err)
	}
	if sum, err := hex.DecodeString(r.Agreement); err != nil || len(sum) != 0 && len(sum) != 32 {
		return api.Member{}, badRequest(errors.New("agreement: must be the SHA-256 of the agreement, in hex"))
	}
	if r.Days < 1 || r.Days > maxMemberDays {
		return api.Member{}, badRequest(fmt.Errorf("membership of %d days: must be 1 to %d", r.Days, maxMemberDays))
	}
	if r.PeerID == n.keys.peerID() {
		return api.Member{}, refused("%s is this node itself", r.PeerID)
	}
	n.signing.Lock()
	defer n.signing.Unlock()
	v, err := n.ownView(r.Feed)
	if err != nil {
		return api.Member{}, err
	}
	audience, known := memberKinds[r.As]
	if !known {
		return api.Member{}, badRequest(fmt.Errorf("member as %.20q: must be police, hotline or host", r.As))
	}
	if charter := v.reading.Load().chain.Newest(); !slices.Contains(charter.Audience, audience) {
		return api.Member{}, refused("the charter of %s is for %s, not for %s", v.name, strings.Join(append(charter.Audience, "nobody else")[:max(1, len(charter.Audience))], ", "), audience)
	}
	members, err := n.readMembers(v.name)
	if err != nil {
		return api.Member{}, err
	}
	m := membership{PeerID: r.PeerID, Name: r.Name, As: r.As, Until: n.now().Add(time.Duration(r.Days) * 24 * time.Hour).Unix(),
		Contact: r.Contact, Agreement: r.Agreement, Hidden: r.Hidden}
	members = append(slices.DeleteFunc(members, func(o membership) bool { return o.PeerID == r.PeerID }), m)
	if len(members) > feed.MaxMembers {
		return api.Member{}, conflict("a feed has at most %d members", feed.MaxMembers)
	}
	if err := n.writeMembers(v, members); err != nil {
		return api.Member{}, err
	}
	return api.Member{Feed: string(v.name), PeerID: m.PeerID, Name: m.Name, As: m.As, Expires: timeText(m.Until), Contact: m.Contact,
		Agreement: m.Agreement, Hidden: m.Hidden}, nil
}

// RemoveMember ends a membership: nothing that is committed later reaches the peer, from any node that has the new roster.
// name "" is every own feed.
func (n *Node) RemoveMember(ctx context.Context, name, peerID string) error {
	n.signing.Lock()
	defer n.signing.Unlock()
	removed := false
	for _, v := range *n.views.Load() {
		if v == nil || !v.own || name != "" && name != string(v.name) && name != v.name.Short() {
			continue
		}
		members, err := n.readMembers(v.name)
		if err != nil {
			return err
		}
		kept := slices.DeleteFunc(slices.Clone(members), func(m membership) bool { return m.PeerID == peerID })
		if len(kept) == len(members) {
			continue
		}
		removed = true
		if err := n.writeMembers(v, kept); err != nil {
			return err
		}
	}
	if !removed {
		return notFound("there is no member %.80s", peerID)
	}
	return nil
}

// witnessOf is the node's name in the name of its witness key.
func witnessOf(key string) string { return strings.TrimSuffix(key, "/witness") }
