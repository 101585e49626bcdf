package feed

// Caps on what comes from outside, checked before any work or allocation. Each is a figure of the wire format: two implementations that
// differ in one of them disagree about what is void.

// Names and positions.
const (
	// MaxName is the length of a name in bytes: enough for a domain that people read to each other.
	MaxName = 64
	// MaxLog is the highest log number; a log is closed only after a key was stolen or lost, so four digits are plenty.
	MaxLog = 9999
	// MaxSize is the largest number of records of a log: 2^40 leaves fit five tile levels and an exact integer everywhere, JSON too.
	MaxSize = 1 << 40
)

// Records.
const (
	// MaxHead bounds a head, in bytes: a retract with 64 targets needs 704, the rest is for extensions.
	MaxHead = 1200
	// MaxBody bounds a body, in bytes: 32 hashes of the longest fixed kind do not fit, 64 vPDQ frames do. A bundle of 256 is < 1 MiB.
	MaxBody = 3200
	// MaxHashes is the number of hashes in one body: one item has one file and a few looks.
	MaxHashes = 32
	// MaxFrames is the number of frames in one vPDQ hash: more would not fit into MaxBody.
	MaxFrames = 64
	// MaxRecords is the number of adds and revises of one item, so that a retract can list them all.
	MaxRecords = 64
	// MaxCBORDepth bounds the nesting of arrays and maps, the outermost being 1: decoders recurse, and a stack is finite.
	MaxCBORDepth = 16

	maxRevise    = 126 // so that a retract (rev 127) can always follow
	maxRetract   = 127
	maxSecs      = 1<<32 - 1 // times in heads and bodies: until 2106
	minSubject   = 5         // bytes of a subject's origin: "a/b/1"
	maxSubject   = 140       // 64 + 1 + 64 + 1 + 4 is 134
	minQuality   = 50        // below, a PDQ says too little to list
	maxQuality   = 100
	maxScheme    = 16
	maxCode      = 32
	maxHashText  = 512 // longest typed hash: photodna in hex, 9 + 288
	maxReference = MaxName + 1 + MaxName + 1 + 4 + 1 + 13
)

// What a body must look like to be worth matching.
const (
	minDistinctBytes = 6   // of an md5, sha1, sha256: below, it is a placeholder ("000…", "deadbeef…"), not a digest
	minPDQOnes       = 64  // of 256 bits: outside 64..192 a PDQ is of a flat picture and matches thousands
	maxPDQOnes       = 192 //
	minVerifiedBy    = 2   // people behind a baseline: one alone may block nothing
)

// Time.
const (
	suspensionHold  = 72 * 3600     // seconds a suspension holds an item
	suspensionLines = 1000          // lines of one signer that count in any 72 h: a stolen signer can't hold a whole feed
	clockSkew       = 300           // seconds a note's time may lie ahead of our clock
	cutHold         = 7 * 24 * 3600 // seconds a retract past a cut holds its item: the publisher repeats the honest ones meanwhile
)

// Notes beside the log: charters, checkpoints, suspensions, rosters, invites, proofs, evidence.
const (
	// MaxCharter bounds a charter's text, in bytes: a hundred closed logs and 24 keys fit.
	MaxCharter = 8 << 10
	// MaxCharters is the number of versions there can be: num has four digits.
	MaxCharters = 9999
	// MaxGroup is the number of keys of a root, signer or quorum: who must meet to sign can still be telephoned.
	MaxGroup = 7
	// MaxProposal bounds a proposed charter's file, in bytes: two charters and a checkpoint, each with 100 signature lines.
	MaxProposal = 128 << 10
	// MaxSuspended is the number of item lines of one suspension, the most that one signer may have in 72 h anyway.
	MaxSuspended = suspensionLines
	// MaxMembers is the number of members of a roster, at some 80 bytes a line.
	MaxMembers = 4096
	// MaxRosterVersion bounds a roster's version: nine digits, for unlike charters rosters change with every member.
	MaxRosterVersion = 999_999_999
	// MaxRosterAge is how far ahead, in seconds, a roster may expire: who is struck off and cut off is out by then.
	MaxRosterAge = 30 * 24 * 3600
	// MaxInvite bounds an invite, in characters: 8 addresses with certificate hashes fit; it is still one line to paste.
	MaxInvite = 8 << 10
	// MaxAddrs is the number of addresses of an invite.
	MaxAddrs = 8
	// MaxExtra bounds what a proof has in its extra line, in bytes before base64: head, body and all charters.
	MaxExtra = 1 << 20
	// MaxProof bounds a proof file, in bytes: the extra line in base64 (4/3), 63 hashes, and a checkpoint with 100 lines.
	MaxProof = 2 << 20
	// MaxEvidence bounds a piece of evidence, in bytes; MaxEvidenceOne one with a single charter. It is accepted from anybody, so it
	// must stay cheap to check: some hundred charters at most.
	MaxEvidence    = 1 << 20
	MaxEvidenceOne = 16 << 10

	maxContact    = 128  // characters of a charter's contact: a desk's address and telephone number
	maxExtraName  = 32   // letters of an x- line's name
	maxExtraValue = 256  // characters of an x- line's value
	maxNum        = 9999 // the ABNF's num: versions, terms, k

	maxProofHashes       = 63  // of an inclusion proof: C2SP's bound, for trees beyond MaxSize
	maxConsistencyHashes = 128 // of a consistency proof: twice the levels of any tree, more than it can need

	// The longest texts that the limits above allow, so that nothing longer is taken apart.
	maxCheckpoint = maxSubject + 1 + 13 + 1 + 44 + 1
	maxSuspension = 64 + 2*MaxName + 32 + MaxSuspended*24
	maxRoster     = 128 + 2*MaxName + MaxMembers*(7+peerIDChars+1+20+1)
)

// The log: tiles, bundles, batches, mirrors.
const (
	// MaxBatch is the number of new records that a publisher puts into one checkpoint, so that nobody need fetch more to act on a retraction.
	MaxBatch = 1 << 16
	// MaxItemBytes is what the two bytes of length before a head or body can say. Heads above MaxHead are void and bodies above MaxBody
	// refused, but they stand in their bundle.
	MaxItemBytes = 1<<16 - 1
	// MaxBundle bounds a bundle, in bytes: 256 of the longest.
	MaxBundle = TileWidth * (2 + MaxItemBytes)
	// MaxExtension is the number of records that one Extension covers, so that its outline stays under 3 MiB whatever size a publisher
	// signs. The next one begins where it ends.
	MaxExtension = 1 << 24

	snapshotBlock    = 64 << 10 // bytes of values after which a block of a snapshot ends
	snapshotStep     = 1 << 20  // items that get their memory at once, 60 MB: a snapshot that tells of more than it has takes no more than that
	maxSnapshotBlock = 1 << 20  // bytes of a block that is read: snapshotBlock and one value, an item of 64 records or a hold of 9,999 logs

	maxPartPath   = 64       // bytes of "tile/entries/x001/…/000.p/255"; the longest we write has 41
	maxBatchBytes = 64 << 20 // bytes of heads and bodies that Verify gathers for one batch before it hands it on
	maxNoteFile   = 64 << 10 // bytes of a note in a mirror: a suspension of 1,000 lines and 100 signature lines
	maxMirrorList = 1 << 22  // names in one folder of a mirror: the kept checkpoints of a log
)
