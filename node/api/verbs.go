package api

import (
	"context"
	"io"
	"iter"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// Verbs is what a node can be asked to do. The node itself has these methods, and so has Client over the
// daemon's door: whoever calls them need not know which of the two answers.
type Verbs interface {
	Identity(ctx context.Context) (Identity, error)
	Status(ctx context.Context) (Status, error)

	Feeds(ctx context.Context) ([]FeedInfo, error)
	// Feed finds one by origin, pub/feed, or an own feed's short name; "" is the first own feed.
	Feed(ctx context.Context, name string) (FeedInfo, error)
	CreateFeed(ctx context.Context, r CreateFeed) (FeedInfo, error)
	// Charter is the newest of a feed. ProposeCharter writes the next of an own feed, PublishCharter takes it back signed; it may be asked
	// again after a failure, and then does what is left.
	Charter(ctx context.Context, name string) (CharterInfo, error)
	ProposeCharter(ctx context.Context, r ProposeCharter) (ProposedCharter, error)
	PublishCharter(ctx context.Context, r PublishCharter) (PublishedCharter, error)
	// Receipts says which members have stored an own feed, and up to where; pending also lists the retracts that each hasn't
	// acknowledged.
	Receipts(ctx context.Context, name string, pending bool) (Receipts, error)
	// Recover fetches from members what an old copy of an own feed lacks, and lets it be signed again.
	Recover(ctx context.Context, name string) (Recovered, error)
	// Log yields the records of a feed's log from an index on, at most n of them (0: all).
	Log(ctx context.Context, name string, from, n uint64) iter.Seq2[Record, error]
	Record(ctx context.Context, ref feed.Ref) (Record, error)
	// Prove returns a C2SP tlog-proof file of a record (WIRE §5); withBody discloses its hashes.
	Prove(ctx context.Context, ref feed.Ref, withBody bool) ([]byte, error)
	// Mirror writes the feed as plain files (WIRE §10) in a tar stream.
	Mirror(ctx context.Context, name string, w io.Writer) error

	// Publish lists items: one record each, all in one signed batch. The answers are in the items' order; an item that is a
	// duplicate or that a guard refuses has its answer in its place, and the others are listed all the same.
	// (POST /v1/records lists one item, so there they are problems of status 409 and 422.)
	Publish(ctx context.Context, r Publish) ([]Published, error)
	Retract(ctx context.Context, ref feed.Ref, reason feed.Reason) (Published, error)
	// RetractMany retracts all items that fit, in one signed batch (more than feed.MaxBatch: in several).
	RetractMany(ctx context.Context, r RetractMany) (RetractedMany, error)
	Revise(ctx context.Context, ref feed.Ref, r Revision) (Published, error)
	Endorse(ctx context.Context, ref feed.Ref) (Published, error)
	Dispute(ctx context.Context, ref feed.Ref, reason feed.Reason) (Published, error)
	Resolve(ctx context.Context, ref feed.Ref, r Resolution) (Published, error)
	Suspend(ctx context.Context, refs []feed.Ref) (Published, error)

	// Batches are those of own feeds that await approval. Batch has all that a signer needs to check one; pledged is the size of the
	// newest head that this signer has signed, 0 for none. Approve adds a signer's line, and publishes the batch once it has enough; line ""
	// only tries to publish. Withdraw drops a batch.
	Batches(ctx context.Context) ([]Batch, error)
	Batch(ctx context.Context, id string, pledged uint64) (BatchText, error)
	Approve(ctx context.Context, id, line string) (Approved, error)
	Withdraw(ctx context.Context, id, line string) error

	// Match answers one verdict a hash, in order; or, where the hashes are all of one file, one verdict over them
	// together (`"one_file": true` in the JSON form of POST /v1/match).
	Match(ctx context.Context, hashes []feed.Hash, oneFile bool) ([]policy.Verdict, error)
	// Answers are Match's verdicts on hashes by themselves. The hashes must not be changed while the Answers are in use.
	Answers(ctx context.Context, hashes *feed.Hashes) (policy.Answers, error)
	// Explain says which rule decides about an upload with these hashes, or with those of a record. It counts as no upload.
	Explain(ctx context.Context, r Explain) (policy.Explained, error)
	// PolicyTest replays the journal under another policy and changes nothing; Promote switches the actions of a followed feed.
	PolicyTest(ctx context.Context, r PolicyTest) (PolicyTested, error)
	Promote(ctx context.Context, r Promote) (Promoted, error)
	// Scan hashes a stream and answers one verdict over all its hashes. ref is the caller's own, opaque.
	Scan(ctx context.Context, r io.Reader, ref string) (policy.Verdict, error)

	// Follow pins a feed and follows it; a publisher that is away, or no membership yet, is no error.
	Follow(ctx context.Context, r Follow) (Followed, error)
	// Unfollow lets go of a feed: an origin or pub/feed.
	Unfollow(ctx context.Context, name string) error
	// Members are those of all own feeds. AddMember a second time changes what is known of a member; RemoveMember with name ""
	// takes it off all own feeds.
	Members(ctx context.Context) ([]Member, error)
	AddMember(ctx context.Context, r AddMember) (Member, error)
	RemoveMember(ctx context.Context, name, peerID string) error
	// Peers are those of the config, those connected, and those that should be.
	Peers(ctx context.Context) ([]Peer, error)
	AddPeer(ctx context.Context, r AddPeer) error
	RemovePeer(ctx context.Context, peerID string) error

	CreateToken(ctx context.Context, r CreateToken) (NewToken, error)
	Tokens(ctx context.Context) ([]Token, error)
	RevokeToken(ctx context.Context, name string) error

	// KnownGood is what is known to be harmless. AddKnownGood adds to the operator's own list, RemoveKnownGood takes off it the files that have a
	// hash (alg:hex).
	KnownGood(ctx context.Context) (KnownGood, error)
	AddKnownGood(ctx context.Context, files []KnownFile) (KnownChange, error)
	RemoveKnownGood(ctx context.Context, hash string) (KnownChange, error)

	// Fsck checks everything that is stored and yields what isn't as it must be; with repair it mends what it can, and says so. An
	// error ends it: it couldn't finish.
	Fsck(ctx context.Context, repair bool) iter.Seq2[Finding, error]
	// Doctor looks at what an operator should look at; each finding names what mends it.
	Doctor(ctx context.Context) ([]Finding, error)
	// SelfTest sends the test picture, a copy of it and an innocent picture through every door, and a test event to whoever is notified.
	SelfTest(ctx context.Context) (SelfTest, error)
	// Backup writes what the store holds in a tar stream. Keys are not in it: whoever makes a backup reads them from the node's directory.
	Backup(ctx context.Context, w io.Writer) error

	ListVerbs
	JournalVerbs
	CountVerbs
}

// Identity is who a node is: `hashfeed id --json`.
type Identity struct {
	Name      string   `json:"name"`
	Role      string   `json:"role"`
	PeerID    string   `json:"peer_id"`
	Origin    string   `json:"origin"`
	Anchor    string   `json:"anchor"`
	RootVKeys []string `json:"root_vkeys"`
	Addresses []string `json:"addresses"`
	Invite    string   `json:"invite"`

	JournalVKey string `json:"journal_vkey"` // what decision receipts are checked with
}

// Status is the node's state: `hashfeed status --json`.
type Status struct {
	Name    string         `json:"name"`
	Role    string         `json:"role"`
	Version string         `json:"version"`
	Feeds   []FeedInfo     `json:"feeds"`
	Peers   []Peer         `json:"peers"`
	Tables  map[string]int `json:"tables"` // distinct values listed, by kind
	Index   Index          `json:"index"`
	// Disputes are those of own items that nobody has answered.
	Disputes []OpenDispute `json:"disputes"`
	Alarms   []Alarm       `json:"alarms"`
}

// OpenDispute is a dispute of an own item that waits for an answer (hashfeed resolve).
type OpenDispute struct {
	Ref     string `json:"ref"`              // of the item's add
	By      string `json:"by"`               // the publisher whose feed it stands in
	Report  bool   `json:"report,omitempty"` // a member's, which we have logged: By is this node
	Reason  string `json:"reason"`
	Since   string `json:"since"` // UTC, RFC 3339
	Until   string `json:"until"` // the charter's answer term: past it nobody blocks by the record until it is answered
	Overdue bool   `json:"overdue"`
}

// Index is how the match tables came to be when the node started.
type Index struct {
	Source  string  `json:"source"`         // one of the Index constants
	Records uint64  `json:"records"`        // that they were made of
	Seconds float64 `json:"seconds"`        // that opening the node took
	Note    string  `json:"note,omitempty"` // why the snapshot was not used, if there was one
}

// Where the tables came from.
const (
	IndexSnapshot = "snapshot" // and from what the log has had since
	IndexLog      = "log"
)

// Peer is one vetted peer and its connection.
type Peer struct {
	PeerID    string   `json:"peer_id"`
	Name      string   `json:"name"`
	Connected bool     `json:"connected"`
	LatencyMS int64    `json:"latency_ms"`
	Addresses []string `json:"addresses,omitempty"`
}

// Alarm is something an operator should act on, with the command that mends it.
type Alarm struct {
	Code   string `json:"code"`
	Feed   string `json:"feed"`
	Since  string `json:"since"` // UTC, RFC 3339
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// FeedInfo is one feed as this node holds it: `hashfeed feed show --json`.
type FeedInfo struct {
	Origin      string     `json:"origin"`
	Anchor      string     `json:"anchor"`
	Harm        string     `json:"harm"`
	Role        string     `json:"role"` // own, followed
	Size        uint64     `json:"size"`
	ActiveSize  uint64     `json:"active_size"` // below this size additions count
	Root        string     `json:"root"`        // hex
	AgeS        int64      `json:"age_s"`       // of the newest stamp
	State       string     `json:"state"`       // ok, stale, frozen, behind, waiting, expired
	StateText   string     `json:"state_text,omitempty"`
	Contact     string     `json:"contact,omitempty"`
	Audience    []string   `json:"audience"`
	RootVKeys   []string   `json:"root_vkeys"`
	SignerVKeys []string   `json:"signer_vkeys"`
	StampVKey   string     `json:"stamp_vkey"`
	Active      int        `json:"active"`
	Retracted   int        `json:"retracted"`
	Erased      int        `json:"erased"`  // records of retracted items whose hashes are gone
	Pending     int        `json:"pending"` // items that don't count yet: for want of the quorum, of a body, or before their not_before
	Quorum      *Quorum    `json:"quorum,omitempty"`
	CosignedBy  []Cosigner `json:"cosigned_by"`
	Invite      string     `json:"invite,omitempty"` // of an own feed: what others follow it by
}

// Quorum is how far the witnesses that a charter names have come. Additions count below active_size alone, retractions wherever they are.
type Quorum struct {
	K         int        `json:"k"` // so many of them make additions count
	Witnesses []Cosigner `json:"witnesses"`
}

// Cosigner is a member that has durably stored a feed up to a size.
type Cosigner struct {
	Name string `json:"name"`
	Size uint64 `json:"size"` // 0: none
	Time string `json:"time,omitempty"`
}

// CreateFeed asks for a new own feed; an empty Harm is the first own feed's.
type CreateFeed struct {
	Name       string   `json:"name"`
	Harm       string   `json:"harm,omitempty"`
	Contact    string   `json:"contact,omitempty"`
	Signers    int      `json:"signers,omitempty"`     // how many must sign a batch; default 1
	SignerKeys []string `json:"signer_keys,omitempty"` // vkeys of the signers besides this node's own
	OwnSigner  string   `json:"own_signer,omitempty"`  // vkey of this node's own, in its ssh-agent; default a new key
}

// Record is one record of a log, as a reader may see it: the hashes only while its body is here.
type Record struct {
	Ref     string     `json:"ref"`
	Op      string     `json:"op"` // add, revise, …; the number for an op that this version doesn't know
	Time    string     `json:"time,omitempty"`
	Item    string     `json:"item,omitempty"` // the reference of the item's add
	Rev     int        `json:"rev,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	Targets []string   `json:"targets,omitempty"`
	Subject string     `json:"subject,omitempty"` // the record that an endorse, dispute or resolve speaks of
	Void    string     `json:"void,omitempty"`
	Refused string     `json:"refused,omitempty"`
	State   string     `json:"state,omitempty"` // of the item: active, held, pending, retracted
	Hashes  []string   `json:"hashes,omitempty"`
	Facts   *FactsInfo `json:"facts,omitempty"`
	Source  string     `json:"source,omitempty"`
	Leaf    string     `json:"leaf"` // hex
}

// FactsInfo is what a record says of its item.
type FactsInfo struct {
	Verdict    string `json:"verdict"`
	Media      string `json:"media"`
	Severity   int    `json:"severity,omitempty"`
	AgeBand    string `json:"age_band,omitempty"`
	Virtual    bool   `json:"virtual,omitempty"`
	Size       uint64 `json:"size,omitempty"`
	VerifiedBy int    `json:"verified_by,omitempty"`
	NotBefore  string `json:"not_before,omitempty"`
	Override   int    `json:"override,omitempty"`
}

// Publish asks to list items in an own feed.
type Publish struct {
	Feed  string `json:"feed,omitempty"` // as Verbs.Feed
	Harm  string `json:"harm,omitempty"` // if given, must be the feed's
	Again bool   `json:"again,omitempty"`
	Items []Item `json:"items"`
}

// Item is one image or video to be listed.
type Item struct {
	Hashes     []string `json:"hashes"` // alg:hex, pdq kinds with their quality: pdq:HEX:QUALITY
	Verdict    string   `json:"verdict"`
	Media      string   `json:"media"`
	VerifiedBy int      `json:"verified_by,omitempty"`
	Severity   int      `json:"severity,omitempty"`
	AgeBand    string   `json:"age_band,omitempty"`
	Virtual    bool     `json:"virtual,omitempty"`
	Size       uint64   `json:"size,omitempty"`
	NotBefore  string   `json:"not_before,omitempty"` // RFC 3339
	Source     string   `json:"source,omitempty"`     // SCHEME:CODE

	// OverrideKnownGood lists the item though a known-good list has it: reviewed, legal or test. It stands in the record.
	OverrideKnownGood string `json:"override_known_good,omitempty"`
}

// Revision asks to change an item's record; empty fields keep what stands.
type Revision struct {
	Hashes     []string `json:"hashes,omitempty"` // added to those listed
	Verdict    string   `json:"verdict,omitempty"`
	VerifiedBy int      `json:"verified_by,omitempty"`
	Severity   int      `json:"severity,omitempty"`
	AgeBand    string   `json:"age_band,omitempty"`
	Source     string   `json:"source,omitempty"`
	NotBefore  string   `json:"not_before,omitempty"`
	Reinstate  bool     `json:"reinstate,omitempty"`

	OverrideKnownGood string `json:"override_known_good,omitempty"` // as Item.OverrideKnownGood
}

// Resolution answers a dispute.
type Resolution struct {
	Uphold  bool   `json:"uphold,omitempty"`  // the record stands
	Retract bool   `json:"retract,omitempty"` // the item is retracted
	Reason  string `json:"reason,omitempty"`  // of the retraction, by name; default false-positive
}

// Published is what came of one item.
type Published struct {
	Ref       string            `json:"ref,omitempty"`
	Hashes    map[string]string `json:"hashes,omitempty"`    // by kind, bare hex
	Batch     string            `json:"batch,omitempty"`     // it awaits approval
	Duplicate string            `json:"duplicate,omitempty"` // REF of the active item that holds an equal exact hash
	Refused   string            `json:"refused,omitempty"`   // why the item was not listed
	Ticket    string            `json:"ticket,omitempty"`
	Until     string            `json:"until,omitempty"` // of a suspension
}

// CreateToken asks for an API token.
type CreateToken struct {
	Name   string   `json:"name,omitempty"`
	Scopes []string `json:"scopes"` // match, read, publish, propose, admin
}

// NewToken is a token, shown once.
type NewToken struct {
	Token  string   `json:"token"`
	Name   string   `json:"name"`
	Scopes []string `json:"scopes"`
}

// Token is what is kept of a token.
type Token struct {
	Name    string   `json:"name"`
	Scopes  []string `json:"scopes"`
	Created string   `json:"created"`
	Used    string   `json:"used,omitempty"`
}
