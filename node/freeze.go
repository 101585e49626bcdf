package node

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// freeze is why a feed is frozen: it has said two things that can't both be true (WIRE §6). Nothing more of it counts, what counted
// before is matched on, suspensions act, and a retract on either branch holds its item.
//
// The evidence is a file that can be handed on. That there is some, and what counted of the feed when it came, stands sealed in the store,
// too: a feed doesn't thaw because a file was deleted.
type freeze struct {
	File  string            `json:"file"` // under DIR/evidence
	Since int64             `json:"since"`
	Log   int               `json:"log"`   // the current log then,
	Limit uint64            `json:"limit"` // and how much of it counted for additions
	Kind  feed.EvidenceKind `json:"kind"`
	Of    string            `json:"of"`               // what there are two of, for people
	OfLog int               `json:"of_log,omitempty"` // of two heads: their log

	evidence *feed.Evidence // nil: the file is gone, or isn't what it was
}

// freezeCursor is where the store has a feed's freeze.
func freezeCursor(name feed.Name) string { return "freeze/" + string(name) }

// ended says whether the feed has come out of it under newer charters.
func (f *freeze) ended(chain *feed.Chain) bool {
	if f.evidence != nil {
		return f.evidence.Ended(chain)
	}
	if f.Kind != feed.HeadEvidence {
		return false // two charters are in the file, and nothing else tells what is valid after both
	}
	_, closed := chain.Cut(f.OfLog)
	return closed
}

func (f *freeze) text(dir layout) string {
	what := "two heads of " + f.Of + " can't both be true"
	if f.Kind == feed.CharterEvidence {
		what = "there are two charters of " + f.Of
	}
	where := "the evidence is " + filepath.Join(dir.evidence(), f.File)
	if f.evidence == nil {
		where = "the evidence, " + filepath.Join(dir.evidence(), f.File) + ", is gone: members have it"
	}
	return fmt.Sprintf("%s: nothing more is added since %s; %s", what, timeText(f.Since), where)
}

// freezeRemedy is what the operator of a node that follows a frozen feed can do.
const freezeRemedy = "hashfeed evidence verify FILE --anchor HEX shows it to anybody; call the publisher, whose keys may be stolen: " +
	"its next charter, if it is valid under both, ends it"

func newFreeze(ev feed.Evidence, r *reading, now int64) *freeze {
	sum := feed.LeafHash(ev.Bytes())
	file := strings.ReplaceAll(string(ev.Feed), "/", "_") + "-" + hex.EncodeToString(sum[:8])
	f := &freeze{File: file, Since: now, Log: r.chain.Newest().Log, Limit: r.limit, Kind: ev.Kind, Of: ev.Ref(), evidence: &ev}
	if ev.Kind == feed.HeadEvidence {
		f.OfLog = ev.Origin.Log()
	}
	return f
}

// keepEvidence freezes a feed that was shown to have said two things. The evidence is on the disk before it acts.
func (n *Node) keepEvidence(ev feed.Evidence) {
	n.freezing.Lock()
	defer n.freezing.Unlock()
	v := n.viewNamed(ev.Feed)
	if v == nil || v.frozen.Load() != nil {
		return
	}
	f := newFreeze(ev, v.reading.Load(), n.unix())
	path := filepath.Join(n.dir.evidence(), f.File)
	err := os.MkdirAll(n.dir.evidence(), 0o700)
	if err == nil {
		err = renameio.WriteFile(path, ev.Bytes(), 0o600)
	}
	if err == nil {
		var record []byte
		if record, err = json.Marshal(f); err == nil {
			err = n.store.PutCursor(freezeCursor(v.name), record)
		}
	}
	n.log.Error("a feed has contradicted itself", "feed", v.name, "evidence", path, "err", err)
	v.frozen.Store(f)
	n.read(v)
}

// loadFreeze brings back what froze a feed in an earlier run: what the store remembers, or else any file of evidence that holds.
func (n *Node) loadFreeze(v *view, chain *feed.Chain) error {
	record, err := n.store.Cursor(freezeCursor(v.name))
	if err != nil {
		return fmt.Errorf("read what froze %s: %w", v.name, err)
	}
	if len(record) > 0 {
		f := &freeze{}
		if err := json.Unmarshal(record, f); err != nil {
			return fmt.Errorf("read what froze %s: %w", v.name, err)
		}
		f.evidence, err = n.openEvidence(chain, f.File)
		if err != nil {
			n.log.Error("read evidence", "feed", v.name, "file", f.File, "err", err)
		}
		if !f.ended(chain) {
			v.frozen.Store(f)
			return nil
		}
	}
	files, err := os.ReadDir(n.dir.evidence())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read evidence: %w", err)
	}
	for _, file := range files {
		if !strings.HasPrefix(file.Name(), strings.ReplaceAll(string(v.name), "/", "_")+"-") {
			continue
		}
		ev, err := n.openEvidence(chain, file.Name())
		if err != nil || ev.Feed != v.name {
			n.log.Warn("left out evidence that doesn't hold under the charters here", "file", file.Name(), "err", err)
			continue
		}
		if !ev.Ended(chain) {
			f := newFreeze(*ev, &reading{chain: chain, limit: n.store.Size(chain.Newest().Origin())}, n.unix())
			f.File = file.Name()
			v.frozen.Store(f)
			return nil
		}
	}
	return nil
}

// openEvidence reads a file of evidence about the feed of a chain.
func (n *Node) openEvidence(chain *feed.Chain, file string) (*feed.Evidence, error) {
	path := filepath.Join(n.dir.evidence(), file)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > feed.MaxEvidence {
		return nil, fmt.Errorf("read %s: larger than %d bytes", path, feed.MaxEvidence)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	ev, err := chain.OpenEvidence(data)
	if err != nil {
		return nil, err
	}
	return &ev, nil
}

// frozenBy is the evidence that froze a feed in an earlier run.
func (n *Node) frozenBy(name feed.Name) (feed.Evidence, bool) {
	if v := n.viewNamed(name); v != nil {
		if f := v.frozen.Load(); f != nil && f.evidence != nil {
			return *f.evidence, true
		}
	}
	return feed.Evidence{}, false
}

// heldChunk is how many items' ids one value of the store takes: 64 KiB.
const heldChunk = 4096

func heldCursor(origin feed.Origin, chunk int) string {
	return fmt.Sprintf("held/%s/%d", origin, chunk)
}

// branchSeen holds the items that retracts name which lie past a frozen log's end, on whichever branch. Of the other branch's items only those
// that are here, too, matter: so nobody can make this list long.
func (n *Node) branchSeen(origin feed.Origin, items []feed.ItemID) {
	n.freezing.Lock()
	defer n.freezing.Unlock()
	v := n.viewNamed(origin.Name())
	if v == nil {
		return
	}
	held, err := n.readHeld(origin)
	known := map[feed.ItemID]bool{}
	for _, id := range held {
		known[id] = true
	}
	before := len(held)
	for _, id := range items {
		if _, ok := v.state.ItemByID(id); ok && !known[id] {
			known[id] = true
			held = append(held, id)
		}
	}
	if len(held) == before {
		return
	}
	v.state.HoldPast(origin.Log(), held[before:]...) // at once; that it lasts comes after
	for chunk := before / heldChunk; err == nil && chunk*heldChunk < len(held); chunk++ {
		err = n.store.PutCursor(heldCursor(origin, chunk), packHeld(held[chunk*heldChunk:min(len(held), (chunk+1)*heldChunk)]))
	}
	n.log.Warn("retracts past the end of a frozen log hold their items", "log", origin, "items", len(held)-before, "err", err)
}

func packHeld(ids []feed.ItemID) []byte {
	var b []byte
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

// readHeld reads which items are held by retracts past a log's end.
func (n *Node) readHeld(origin feed.Origin) (ids []feed.ItemID, err error) {
	for chunk := 0; ; chunk++ {
		data, err := n.store.Cursor(heldCursor(origin, chunk))
		if err != nil {
			return ids, fmt.Errorf("read what is held of %s: %w", origin, err)
		}
		for id := range slices.Chunk(data, len(feed.ItemID{})) {
			ids = append(ids, feed.ItemID(id))
		}
		if len(data) < heldChunk*len(feed.ItemID{}) {
			return ids, nil
		}
	}
}

// loadHeld lets retracts past the end of logs hold their items again: while the feed is frozen, and after that of logs that were closed, as
// all that lies past a cut does.
func (n *Node) loadHeld(v *view, chain *feed.Chain) error {
	for log := 1; log <= chain.Newest().Log; log++ {
		if _, closed := chain.Cut(log); !closed && v.frozen.Load() == nil {
			continue
		}
		ids, err := n.readHeld(v.name.Log(log))
		if err != nil {
			return err
		}
		v.state.HoldPast(log, ids...)
	}
	return nil
}

// forgetFreeze drops what is remembered of a feed that is let go of. The files of evidence stay.
func (n *Node) forgetFreeze(v *view, chain *feed.Chain) error {
	n.freezing.Lock()
	defer n.freezing.Unlock()
	var errs []error
	drop := func(cursor string) bool {
		data, err := n.store.Cursor(cursor)
		if err == nil && len(data) > 0 {
			err = n.store.PutCursor(cursor, nil)
		}
		errs = append(errs, err)
		return err == nil && len(data) > 0
	}
	drop(freezeCursor(v.name))
	for log := 1; log <= chain.Newest().Log; log++ {
		for chunk := 0; drop(heldCursor(v.name.Log(log), chunk)); chunk++ {
		}
	}
	return errors.Join(errs...)
}

// refuseFrozen is why a publisher whose own feed is frozen doesn't sign.
func (n *Node) refuseFrozen(v *view) error {
	f := v.frozen.Load()
	if f == nil {
		return nil
	}
	return &api.Error{Status: http.StatusUnprocessableEntity, Code: api.CodeRefused, Text: "feed " + string(v.name) + " is frozen: " + f.text(n.dir),
		Hint: cmp.Or(map[feed.EvidenceKind]string{
			feed.HeadEvidence: "two copies of this directory have signed, or the signer's key is stolen: find the other, then close the log with a new charter; suspend works meanwhile",
		}[f.Kind], "root keys have signed two charters of one version: find out who has them; a next charter that is valid after both ends it; suspend works meanwhile")}
}
