package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/gossip"
)

// takenCounts is what one member shared of a week of an own feed, as a line of the week's file.
type takenCounts struct {
	PeerID string `json:"peer_id"`
	Counts []byte `json:"counts"` // gossip.Counts
}

func (t takenCounts) check() error {
	if _, err := feed.ParsePeerID(t.PeerID); err != nil {
		return err
	}
	_, err := gossip.ParseCounts(t.Counts)
	return err
}

var (
	errCountsUnwanted = errors.New("[own] take_counts is false")
	errCountsWeek     = errors.New("its week isn't over, or was over too long ago")
	errCountsMany     = errors.New("more members have shared that week than a feed has")
	errCountsFile     = errors.New("it has counts of another feed or week")
)

// takeCounts keeps what a member, which gossip knows to be one, shares of a week. What it shared of that week before is replaced.
func (n *Node) takeCounts(peer string, c gossip.Counts) error {
	if !n.config.Load().Own.TakeCounts {
		return errCountsUnwanted
	}
	now := n.now()
	if c.Week().End().After(now.Add(maxAhead)) || tooOld(c.Week(), now) {
		return errCountsWeek
	}
	n.counting.Lock()
	defer n.counting.Unlock()
	list, err := n.readCounts(c.Feed(), c.Week())
	if err != nil {
		return err
	}
	line := takenCounts{PeerID: peer, Counts: c.Bytes()}
	i := slices.IndexFunc(list, func(t takenCounts) bool { return t.PeerID == peer })
	switch {
	case i >= 0 && bytes.Equal(list[i].Counts, line.Counts):
		return nil
	case i >= 0:
		list[i] = line
	case len(list) >= feed.MaxMembers:
		return errCountsMany
	default:
		list = append(list, line)
	}
	path := n.dir.counts(c.Feed(), c.Week())
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return writeJSONLines(path, list)
}

// readCounts reads what members have shared of a week.
func (n *Node) readCounts(name feed.Name, week gossip.Week) ([]takenCounts, error) {
	path := n.dir.counts(name, week)
	list, err := readJSONLines(path, maxCountsFile, takenCounts.check)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		if c, err := gossip.ParseCounts(t.Counts); err != nil || c.Feed() != name || c.Week() != week {
			return nil, fmt.Errorf("read %s: %w", path, errCountsFile)
		}
	}
	return list, nil
}

// FeedCounts is what members have shared of an own feed in the last year: sums over all of them, the newest week first.
func (n *Node) FeedCounts(ctx context.Context, name string) (api.FeedCounts, error) {
	v, err := n.findView(name)
	if err != nil {
		return api.FeedCounts{}, err
	}
	if !v.own {
		return api.FeedCounts{}, refused("feed %s is not this node's own: members share counts with its publisher alone", v.name)
	}
	answer := api.FeedCounts{Feed: string(v.name), Take: n.config.Load().Own.TakeCounts, Fewest: gossip.Fewest, Weeks: []api.WeekCounts{}}
	this := gossip.WeekOf(n.now())
	for back := range keepWeeks + 1 {
		list, err := n.readCounts(v.name, this.Before(back))
		if err != nil {
			return answer, &api.Error{Status: 500, Code: api.CodeDamaged, Text: err.Error(), Hint: "hashfeed fsck"}
		}
		if len(list) == 0 {
			continue
		}
		sum := newSum(this.Before(back))
		for _, t := range list {
			if c, err := gossip.ParseCounts(t.Counts); err == nil { // they were checked
				sum.add(c)
			}
		}
		answer.Weeks = append(answer.Weeks, sum.told())
	}
	return answer, nil
}

// countsFile is the end of the name of a week's file.
var countsFile = regexp.MustCompile(`-([0-9]{4}-W[0-9]{2})$`)

// purgeCounts deletes what members shared more than a year ago.
func (n *Node) purgeCounts() {
	entries, err := os.ReadDir(n.dir.countsDir())
	if err != nil {
		return // there is none
	}
	oldest := gossip.WeekOf(n.now()).Before(keepWeeks).String()
	for _, e := range entries {
		m := countsFile.FindStringSubmatch(e.Name())
		if m == nil || m[1] >= oldest { // the names of weeks are in order
			continue
		}
		if err := os.Remove(filepath.Join(n.dir.countsDir(), e.Name())); err != nil {
			n.log.Error("purge counts", "file", e.Name(), "err", err)
		}
	}
}
