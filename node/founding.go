package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/google/renameio/v2"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/feed/store"
	"hashfeed/node/api"
)

// charterYears is how long a new charter holds: long enough not to be forgotten, short enough that somebody looks.
const charterYears = 1

// audienceOf is who a role's own feed is for, in a charter's order; a host's is for nobody else.
func audienceOf(role string) []string {
	if role == RoleHost {
		return nil
	}
	return []string{"police", "hotlines", "hosts"}
}

// checkContact says what is wrong with a charter's contact; empty is "none".
func checkContact(contact string) error {
	for _, c := range []byte(contact) {
		if c < ' ' || c > '~' {
			return fmt.Errorf("contact: must be printable ASCII, such as a mail address")
		}
	}
	if len(contact) > maxContact {
		return fmt.Errorf("contact: longer than %d characters", maxContact)
	}
	return nil
}

// maxContact is the length of a contact that a charter may have (WIRE §4).
const maxContact = 128

// newCharter is the first charter of a feed, without its keys.
func newCharter(name feed.Name, harm, contact string, audience []string, now time.Time) feed.Charter {
	if contact == "" {
		contact = "none"
	}
	return feed.Charter{
		Feed: name, Version: 1, Expires: now.AddDate(charterYears, 0, 0).Unix(), Harm: feed.Harm(harm), Use: feed.UseMatch,
		Audience: audience, Contact: contact, Answer: feed.Term{N: 2, Unit: 'd'},
		SoftAge: feed.Term{N: 6, Unit: 'h'}, HardAge: feed.Term{N: 72, Unit: 'h'}, Log: 1,
	}
}

// createFeed makes the keys of a feed, signs its charter, and opens its first log with a stamped checkpoint of size 0. The
// charter has the other signers and the threshold, if there are any; own is this node's signer where an ssh-agent has it,
// nil for a new key. Where several must sign, the log is left to be opened by them.
func createFeed(dir layout, s *store.Store, c feed.Charter, own *crypto.PublicKey, passphrase []byte, now int64) (feed.Charter, error) {
	if err := os.MkdirAll(dir.logKeys(c.Feed, c.Log), 0o700); err != nil {
		return c, err
	}
	plans := []keyPlan{
		{dir.rootKey(c.Feed), string(c.Feed) + "/root", crypto.TypeSignature},
		{dir.stampKey(c.Feed, c.Log), string(c.Origin()), crypto.TypeCosignature},
	}
	if len(c.Audience) > 0 {
		plans = append(plans, keyPlan{dir.rosterKey(c.Feed), string(c.Feed) + "/roster", crypto.TypeSignature})
	}
	keys, err := makeKeys(passphrase, plans...)
	if err != nil {
		return c, err
	}
	signer, err := makeSigner(dir, c, own, passphrase)
	if err != nil {
		return c, err
	}
	root, stamp := keys[0], keys[1]
	c.Root = feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{root.Public()}}
	c.Signer = feed.KeyGroup{K: max(c.Signer.K, 1), Keys: append([]crypto.PublicKey{signer.Public()}, c.Signer.Keys...)}
	c.Stamp = stamp.Public()
	if len(c.Audience) > 0 {
		roster := keys[2].Public()
		c.Roster = &roster
	}
	note, err := feed.SignCharter(c, root)
	if err != nil {
		return c, err
	}
	chain, err := feed.OpenChain(c.Anchor(), [][]byte{note})
	if err != nil {
		return c, err
	}
	if c.Signer.K > 1 {
		return c, s.AddFeed(chain)
	}
	opening, err := feed.Sign(feed.Signing{Chain: chain, Signers: []crypto.Signer{signer}, Stamp: stamp}, feed.Tree{}, feed.Checkpoint{}, nil, now)
	if err != nil {
		return c, err
	}
	if err := s.AddFeed(chain); err != nil {
		return c, err
	}
	return c, s.Commit(opening)
}

// makeSigner makes this node's own signer of a log, or notes the key in an ssh-agent that it is.
func makeSigner(dir layout, c feed.Charter, own *crypto.PublicKey, passphrase []byte) (crypto.Signer, error) {
	if own == nil {
		keys, err := makeKeys(passphrase, keyPlan{dir.signerKey(c.Feed, c.Log), string(c.Origin()), crypto.TypeSignature})
		if err != nil {
			return nil, err
		}
		return keys[0], nil
	}
	if err := renameio.WriteFile(dir.agentKey(c.Feed, c.Log), []byte(own.String()+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("note the signer's vkey: %w", err)
	}
	return AgentSigner(*own), syncDir(dir.logKeys(c.Feed, c.Log))
}

// CreateFeed makes another own feed.
func (n *Node) CreateFeed(ctx context.Context, r api.CreateFeed) (api.FeedInfo, error) {
	config := n.config.Load()
	name, err := feed.ParseName(config.Name + "/" + r.Name)
	if err != nil {
		return api.FeedInfo{}, badRequest(err)
	}
	if err := checkContact(r.Contact); err != nil {
		return api.FeedInfo{}, badRequest(err)
	}
	if r.Harm == "" {
		first, err := n.findView("")
		if err != nil {
			return api.FeedInfo{}, &api.Error{Status: 422, Code: api.CodeIncomplete, Text: "the feed's harm is missing"}
		}
		r.Harm = string(first.reading.Load().chain.Newest().Harm)
	}
	if _, err := feed.ParseHarm(r.Harm); err != nil {
		return api.FeedInfo{}, badRequest(err)
	}
	return n.createOwn(ctx, newCharter(name, r.Harm, r.Contact, audienceOf(config.Role), n.now()), r)
}

// createOwn makes an own feed of a charter that has no keys yet.
func (n *Node) createOwn(ctx context.Context, charter feed.Charter, r api.CreateFeed) (api.FeedInfo, error) {
	name := charter.Feed
	own, err := foundingSigners(&charter, r)
	if err != nil {
		return api.FeedInfo{}, err
	}
	n.signing.Lock()
	defer n.signing.Unlock()
	if _, ok := n.store.Chain(name); ok || n.keys.owns(name) {
		return api.FeedInfo{}, &api.Error{Status: 409, Code: api.CodeConflict, Text: fmt.Sprintf("there is a feed %s already", name)}
	}
	if _, err := createFeed(n.dir, n.store, charter, own, n.keys.passphrase, n.unix()); err != nil {
		return api.FeedInfo{}, err
	}
	if err := n.proposeOpening(n.viewNamed(name)); err != nil {
		return api.FeedInfo{}, err
	}
	if w := n.network.Load(); w != nil {
		w.changed()
	}
	return n.Feed(ctx, string(name))
}

// foundingSigners puts the threshold and the other signers of a request into a charter, and returns this node's own signer
// where it is in an ssh-agent. All is checked before any key is made.
func foundingSigners(c *feed.Charter, r api.CreateFeed) (own *crypto.PublicKey, err error) {
	parse := func(vkey string) (crypto.PublicKey, error) {
		key, err := crypto.ParsePublicKey(vkey)
		switch {
		case err != nil:
		case key.Name != string(c.Origin()) || key.Type != crypto.TypeSignature:
			err = fmt.Errorf("it is no key of a signer of %s", c.Origin())
		case slices.ContainsFunc(c.Signer.Keys, func(o crypto.PublicKey) bool { return o.Key == key.Key }):
			err = errors.New("it is there twice: a threshold is about persons")
		}
		if err != nil {
			return key, badRequest(fmt.Errorf("signer key %.200q: %w", vkey, err))
		}
		return key, nil
	}
	c.Signer.K = max(r.Signers, 1)
	if n := len(r.SignerKeys) + 1; r.Signers < 0 || c.Signer.K > n || n > feed.MaxGroup || 2*c.Signer.K <= n {
		return nil, badRequest(fmt.Errorf("%d of %d signers, this node's own among them: at most %d, and more than half of them must sign", c.Signer.K, n, feed.MaxGroup))
	}
	for _, vkey := range r.SignerKeys {
		key, err := parse(vkey)
		if err != nil {
			return nil, err
		}
		c.Signer.Keys = append(c.Signer.Keys, key)
	}
	if r.OwnSigner == "" {
		return nil, nil
	}
	key, err := parse(r.OwnSigner)
	if err != nil {
		return nil, err
	}
	held, err := AgentKeys(key.Name)
	if err != nil {
		return nil, refused("%v", err)
	}
	if !slices.ContainsFunc(held, func(a AgentKey) bool { return a.Public == key }) {
		return nil, refused("the ssh-agent of this node has no key %s", key)
	}
	return &key, nil
}
