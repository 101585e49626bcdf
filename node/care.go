package node

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// care is what the node knows of its own health.
type care struct {
	// checking is held by fsck, which may be repairing. The scrub, which takes its time, doesn't wait for it, nor is waited for.
	checking sync.Mutex

	mu       sync.Mutex
	findings int       // of the last walk that finished
	since    time.Time // of the first walk that had findings
	finished time.Time // of the last walk; zero: none yet
	walks    int       // how many have finished
}

// walked notes what a walk of everything found.
func (c *care) walked(findings int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if findings > 0 && c.findings == 0 {
		c.since = now
	}
	c.findings, c.finished = findings, now
	c.walks++
}

// count is how many walks have finished: whose walk took longer than another, which may have mended something, has nothing to say any more.
func (c *care) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.walks
}

func (c *care) last() (findings int, since, finished time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.findings, c.since, c.finished
}

// alarmDamaged is the code of an alarm about what the disk has lost.
const alarmDamaged = "damaged"

// careAlarms are the alarms of the store as a whole.
func (n *Node) careAlarms(say func(code, about, text, remedy string, since time.Time)) {
	if err := n.store.Room(); err != nil {
		say("disk", "", err.Error(), "free disk space on the file system of DIR; it goes on by itself then", n.now())
	}
	if findings, since, _ := n.care.last(); findings > 0 {
		say(alarmDamaged, "", fmt.Sprintf("the last walk through everything stored had %d findings", findings), "hashfeed fsck --repair", since)
	}
	n.journalAlarms(say)
	for _, name := range n.store.Feeds() {
		if _, ok := n.store.Chain(name); ok {
			continue // its view tells
		}
		if d := n.store.Damage(name); d != nil {
			say(alarmDamaged, string(name), d.Error(), "hashfeed fsck --repair", n.now())
		}
	}
}

// damagedToSign is why an own feed must not be signed on this disk: nil if nothing is known to be lost. Whoever signs a log that has lost its
// end signs two trees of one size.
func (n *Node) damagedToSign(v *view) error {
	d := n.store.Damage(v.name)
	if d == nil && v.broken == nil {
		return nil
	}
	text := fmt.Sprintf("feed %s is damaged: nothing is signed", v.name)
	if d != nil {
		text = d.Error()
	}
	return &api.Error{Status: http.StatusInternalServerError, Code: api.CodeDamaged, Text: text, Hint: "hashfeed fsck --repair"}
}

// A directory that was restored from a backup, or whose own log was mended, may know less than its members do, also where its
// receipts don't tell: the first member may have come after the backup. So it is noted down, and the next signature waits for a member or --alone.

func copiedCursor(name feed.Name) string { return "copied/" + string(name) }

// setCopied notes that an own feed here may be an old copy.
func (n *Node) setCopied(name feed.Name) error {
	return n.store.PutCursor(copiedCursor(name), []byte{1})
}

// copied says whether setCopied was the last word.
func (n *Node) copied(name feed.Name) (bool, error) {
	c, err := n.store.Cursor(copiedCursor(name))
	if err != nil {
		return false, fmt.Errorf("read whether %s was restored: %w", name, err)
	}
	return len(c) == 1 && c[0] == 1, nil
}

// settled notes that a member was heard, or that the operator has taken the word for it.
func (n *Node) settled(name feed.Name, copied bool) error {
	if !copied {
		return nil
	}
	return explainWrite(n.store.PutCursor(copiedCursor(name), []byte{0}))
}
