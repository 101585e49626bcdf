package node

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/feed/store"
)

// questions are a fixed set of them.
type questions struct {
	refs   []feed.Ref
	hashes []feed.Hash
}

// An answer is compared by its text. One that is about a feed alone names it.
type answer struct {
	question string
	feed     string // origin
	text     string
	err      error
	// mayBeLost: receipts are in it, or bodies that may have been erased. Members send the former again.
	mayBeLost bool
}

// questionsFor chooses records of all feeds, and their hashes.
func questionsFor(n *Node) (q questions) {
	ctx := context.Background()
	infos, _ := n.Feeds(ctx)
	for _, f := range infos {
		i := 0
		for r, err := range n.Log(ctx, f.Origin, 0, 0) {
			if i++; err != nil || i > 5 && i%200 != 0 && i < int(f.Size)-5 {
				continue
			}
			if ref, err := feed.ParseRef(r.Ref); err == nil {
				q.refs = append(q.refs, ref)
			}
			for _, text := range r.Hashes {
				if h, err := feed.ParseHash(text); err == nil {
					q.hashes = append(q.hashes, h)
				}
			}
		}
	}
	return q
}

// ask asks everything that a node answers from what it has stored.
func (q questions) ask(n *Node) (all []answer) {
	ctx := context.Background()
	say := func(about, question string, v any, err error) {
		text, jsonErr := json.Marshal(v)
		if err == nil {
			err = jsonErr
		}
		what, _, _ := strings.Cut(question, " ")
		all = append(all, answer{question, about, string(text), err, slices.Contains([]string{"feeds", "log", "receipts", "mirror"}, what)})
	}
	identity, err := n.Identity(ctx)
	say("", "identity", identity, err)
	say("", "config", n.config.Load(), nil)
	infos, err := n.Feeds(ctx)
	say("", "feeds", infos, err)
	status, err := n.Status(ctx)
	say("", "tables", status.Tables, err)
	for _, name := range []feed.Name{"hotline.example/known", "hotline.example/urgent", "liaison.example/known"} {
		origin := string(name.Log(1))
		chain, ok := n.store.Chain(name)
		if !ok { // a question about it is an error, as for the API
			for _, what := range []string{"log", "charter", "suspensions", "roster", "checkpoints", "receipts", "mirror"} {
				say(origin, what+" of "+origin, nil, store.ErrUnknownFeed)
			}
			continue
		}
		sum := sha256.New()
		err := error(nil)
		for r, e := range n.Log(ctx, origin, 0, 0) {
			json.NewEncoder(sum).Encode(r)
			err = errors.Join(err, e)
		}
		say(origin, "log of "+origin, sum.Sum(nil), err)
		say(origin, "charter of "+origin, chain.Anchor().String()+fmt.Sprint(chain.Newest()), nil)
		var notes []string
		for _, s := range n.store.Suspensions(name) {
			notes = append(notes, string(s.Bytes()))
		}
		say(origin, "suspensions of "+origin, notes, nil)
		roster, _ := n.store.Roster(name)
		say(origin, "roster of "+origin, fmt.Sprint(roster), nil)
		heads := map[uint64]string{}
		for _, size := range n.store.SeenSizes(name.Log(1)) {
			if cp, ok := n.store.Seen(name.Log(1), size); ok {
				heads[size] = string(cp.Bytes())
			}
		}
		say(origin, "checkpoints of "+origin, heads, nil)
		receipts, err := n.store.AllReceipts(name.Log(1))
		say(origin, "receipts of "+origin, fmt.Sprint(receipts), err)
		sum = sha256.New()
		err = n.Mirror(ctx, string(name), sum)
		say(origin, "mirror of "+origin, sum.Sum(nil), err)
	}
	for _, ref := range q.refs {
		proof, err := n.Prove(ctx, ref, false)
		say(string(ref.Origin), "proof of "+ref.String(), proof, err)
	}
	for part := range slices.Chunk(q.hashes, 100) {
		verdicts, err := n.Match(ctx, part, false)
		for i := range verdicts {
			verdicts[i].Decision = "" // each answer has its own
		}
		say("", "match", verdicts, err)
	}
	members, err := n.Members(ctx)
	say("", "members", members, err)
	tokens, err := n.Tokens(ctx)
	say("", "tokens", tokens, err)
	q.askKeys(n, say)
	entries, err := os.ReadDir(n.dir.evidence())
	var proven []string
	for _, e := range entries {
		data, err2 := os.ReadFile(filepath.Join(n.dir.evidence(), e.Name()))
		anchor := feed.Anchor{}
		if chain, ok := n.store.Chain("liaison.example/known"); ok {
			anchor = chain.Anchor()
		}
		if err2 == nil {
			_, err2 = feed.OpenEvidence(data, anchor)
		}
		proven = append(proven, fmt.Sprintf("%x", sha256.Sum256(data)))
		err = errors.Join(err, err2)
	}
	say("", "evidence", proven, err)
	return all
}

// askKeys asks for each key that something is signed with.
func (q questions) askKeys(n *Node, say func(about, question string, v any, err error)) {
	say("", "witness key", n.keys.witness.Public().String(), nil)
	journal, err := n.keys.load(n.dir.journalKey(), n.config.Load().Name+"/journal")
	public := func(k *crypto.PrivateKey, err error) string {
		if err != nil {
			return ""
		}
		return k.Public().String()
	}
	say("", "journal key", public(journal, err), err)
	for _, name := range []feed.Name{"hotline.example/known", "hotline.example/urgent"} {
		if chain, ok := n.store.Chain(name); ok {
			keys, err := n.keys.signing(chain)
			text := ""
			if err == nil {
				text = keys.Signers[0].Public().String() + public(keys.Stamp, nil)
			}
			say("", "signer of "+string(name), text, err)
		} else {
			say("", "signer of "+string(name), nil, store.ErrUnknownFeed)
		}
		root, err := n.keys.load(n.dir.rootKey(name), string(name)+"/root")
		say("", "root of "+string(name), public(root, err), err)
		roster, err := n.keys.load(n.dir.rosterKey(name), string(name)+"/roster")
		say("", "roster key of "+string(name), public(roster, err), err)
	}
}
