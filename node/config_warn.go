package node

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/policy"
)

// Warnings are what an operator hardly means, though it is valid: rules that contradict each other, or can never apply. charter tells how a
// followed feed's charter wants to be used; "" where it hasn't come yet.
func (c *Config) Warnings(charter func(Follow) feed.Use) []string {
	warnings := []string{}
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if len(c.Follow) == 0 && c.Role != RoleHotline {
		warn("no feed is followed: nothing is matched but what this node lists itself (hashfeed follow INVITE)")
	}
	publishers := map[string]bool{}
	for _, f := range c.Follow {
		publishers[feed.Name(f.Feed).Publisher()] = true
		about := func(format string, args ...any) { warn("[[follow]] "+f.Feed+": "+format, args...) }
		blocks := f.Action == policy.Block || f.ActionNear == policy.Block || f.ActionWeak == policy.Block
		if blocks && charter(f) == feed.UseReview {
			about(`it is to block, and its charter says "use review": it never does more than review`)
		}
		switch {
		case f.ActionNear == policy.Block && f.MaxDistance > nearDistance:
			about("action_near blocks up to max_distance %d: beyond %d strangers begin to look alike; review them, or lower it", f.MaxDistance, nearDistance)
		case f.ActionNear != policy.Log && f.MaxDistance == 0 && f.MaxSquare == 0:
			about("action_near is %s, and no neighbour counts at max_distance 0", f.ActionNear)
		}
		if f.ActionNear.Exceeds(f.Action) {
			about("action_near is %s, and action for the very same picture only %s", f.ActionNear, f.Action)
		}
		if f.ShareCounts && f.Peer == "" {
			about("share_counts is set, and peer doesn't say who its publisher is: nothing is shared")
		}
		if k := c.Journal; f.ShareCounts && min(k.Block, k.Review, k.Log) < shareDays {
			about("share_counts is set, and the journal forgets within %d days: a week is counted when it is over, and what is gone by then isn't", shareDays)
		}
		if f.ActionWeak.Exceeds(f.Action) {
			about("action_weak is %s, and action only %s: md5 and sha1 can be forged", f.ActionWeak, f.Action)
		}
	}
	if n := c.Policy.MinPublishers; n > 1 && n > len(publishers) {
		warn("[policy] min_publishers is %d, and feeds of %d publishers are followed: no followed record does more than review, unless others endorse it", n, len(publishers))
	}
	return append(warnings, c.notifyWarnings()...)
}

// ConfigWarnings are the warnings about a node's config, by the charters that its directory holds. The node needn't be open.
func ConfigWarnings(dir string, c Config) []string {
	return c.Warnings(func(f Follow) feed.Use {
		use, err := anchorUse(layout(dir), f)
		if err != nil {
			return ""
		}
		return use
	})
}

// anchorUse reads how a followed feed's charter wants to be used from the very charter that is pinned: that never changes.
func anchorUse(dir layout, f Follow) (feed.Use, error) {
	anchor, err := feed.ParseAnchor(f.Anchor)
	if err != nil {
		return "", err
	}
	folder := filepath.Dir(dir.charter(feed.Name(f.Feed), 1))
	files, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	for _, file := range files {
		data, err := readSmall(filepath.Join(folder, file.Name()), maxCharterFile)
		if err != nil {
			continue // fsck tells
		}
		note, err := crypto.ParseNote(data)
		if err != nil || sha256.Sum256(note.Text) != anchor {
			continue
		}
		chain, err := feed.OpenChain(anchor, [][]byte{data})
		if err != nil {
			return "", errors.Join(fs.ErrInvalid, err)
		}
		return chain.Newest().Use, nil
	}
	return "", fs.ErrNotExist
}

// warnConfig says in the log what the operator hardly means.
func (n *Node) warnConfig() {
	for _, w := range ConfigWarnings(string(n.dir), *n.config.Load()) {
		n.log.Warn("hashfeed.toml: " + w)
	}
}
