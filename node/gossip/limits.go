package gossip

import (
	"time"

	"hashfeed/feed"
)

// The caps of this package, each with its reason. Frame sizes are those of the wire format, which both sides check: the reader before it
// allocates, the writer so that it never sends what must be refused.
const (
	maxHello   = 2 << 10   // two names, a key and eight addresses
	maxList    = 256 << 10 // some 1,300 logs
	maxPush    = 32 << 10  // a head with 100 lines, or a suspension of 1,000 items at 20 bytes each
	maxPeers   = 64 << 10  // some 200 signed records
	maxAsk     = 4 << 10   // head/1 and tiles/1: 64 paths
	maxReply   = 1 << 20   // head/1: 32 charters of 8 KiB, a roster of 4,096 members at 80 bytes, suspensions in what is left
	maxCosign  = 2 << 10   // an origin and a line
	maxReport  = 2 << 10   // a reference and a reason; counts take 700
	maxProven  = feed.MaxEvidence + 1<<10
	maxRecord  = 1200 // a signed peer record: eight addresses, and hello must hold it
	maxVersion = 64   // a version is for people to read

	maxClaims   = 1300 // of a list: what maxList holds
	maxPaths    = 64   // of one tiles request
	maxCharters = 32   // of one head reply
	maxLines    = 100  // as many as a note may have
	maxPassed   = 1024 // suspensions of one reply, records of one peers message; their sizes are bounded by the frame

	maxTile = feed.TileWidth * 32
)

// What one network keeps in memory about others.
const (
	maxBook      = 8192     // peer records: twice the largest roster
	maxStrangers = 256      // records of peers in no roster that we have yet
	maxFellows   = 16       // fellow members dialled of our own accord: enough for rumours to reach everyone, few enough for a mesh of 4,096
	maxTickets   = 1024     // own reports that wait for an answer
	maxMissing   = 1 << 16  // bodies that we look for, of one feed; more come up when these are found
	maxSizes     = 8        // older sizes of a log with new cosignatures that wait to be pushed to one peer; the newest matter
	maxWindow    = 64       // bundles fetched ahead of the commit: 16,384 records
	maxAhead     = 64 << 20 // bytes fetched ahead of the commit; one bundle for each source may come on top
	maxSources   = 4        // members that one log is fetched from at once
	jobBundles   = 8        // bundles asked for at a time: 16 paths
	maxOutline   = 8 << 20  // bytes of tiles above the leaves of one extension (MaxExtension records make some 3 MiB)
	maxBranch    = 1 << 20  // records of a frozen log's branch that are read for their retracts
	maxBranches  = 8        // ends of branches remembered for a log
	maxTiles     = 256      // tiles of one head that are kept while they are used: 2 MiB
	maxRefused   = 64       // peers remembered with the reason why they didn't serve a feed
)

// Defaults of Limits, and libp2p's per peer.
const (
	defaultConnections = 64
	defaultStreams     = 1024
	defaultMemory      = 256 << 20
	peerConnections    = 4   // both sides may dial at once, over TCP and QUIC
	peerStreams        = 128 // all our protocols, ping and identify
	protocolStreams    = 24  // one peer's streams of one of our protocols: several fetches at once
)

// Rates, for each peer. What comes faster waits: the sender is slowed, never punished.
const (
	messageRate  = 50 // messages and requests a second; each costs at most some 10 signature checks
	messageBurst = 400
	proofRate    = time.Minute // between two pieces of evidence, each up to 1 MiB to verify
	proofBurst   = 3
	countsRate   = time.Minute // between two counts of weeks, each of which writes a file
	countsBurst  = 16          // two months of two feeds, after a long absence
)

// Times.
const (
	pushDelay     = 20 * time.Millisecond // at most; at random, so that who pushed first doesn't tell who published
	listEvery     = 10 * time.Minute
	pingEvery     = 15 * time.Second // with pingTimeout a half-open connection is found within 30 s, of the 45 promised
	pingTimeout   = 15 * time.Second
	helloTimeout  = 10 * time.Second
	quietTimeout  = 25 * time.Minute // two lists missed
	frameTimeout  = 30 * time.Second // from a frame's length to its end
	writeTimeout  = 20 * time.Second // for a peer to take a frame
	askTimeout    = 15 * time.Second
	partTimeout   = 10 * time.Second // for a part to begin and, at minRate, to end
	minRate       = 16 << 10         // bytes a second, below which a sender counts as stalled
	cosignEvery   = 5 * time.Second
	redialFirst   = time.Second
	redialMost    = 30 * time.Second
	dialTimeout   = 10 * time.Second
	banLie        = 5 * time.Minute  // for what no honest node can have sent
	banRule       = time.Minute      // for breaking the format again and again
	ruleWindow    = 10 * time.Minute // in which maxBroken breaches lead to it
	maxBroken     = 3
	withheldAfter = 10 * time.Minute
	repairEvery   = time.Minute // doubled up to repairMost while nobody has the bodies
	repairMost    = time.Hour
	retryFetch    = 2 * time.Second // doubled up to retryMost
	retryMost     = 30 * time.Second
	clockSkew     = 120 * time.Second
	clockPeers    = 3
	answerAfter   = time.Hour
	answerMany    = 24 * time.Hour // where several must sign
	upkeepEvery   = time.Second
	recoverLook   = 50 * time.Millisecond
	recoverWait   = 30 * time.Second // for a member to be heard, or for the next records of a log that is recovered
	saveEvery     = 10 * time.Second
)
