package api

import "time"

// Every bound of this package. All are checked before work or memory is spent on what they bound.
const (
	// MaxHashes is the number of hashes in one JSON question. Each answer holds a verdict of some hundred bytes, more where it matches.
	MaxHashes = 10_000

	// maxHashText is the length in bytes of a hash as it is typed. The longest, photodna in hex, has 297.
	maxHashText = 512

	// maxMatchJSON is the size in bytes of a JSON question: MaxHashes of the longest, quoted.
	maxMatchJSON = MaxHashes * (maxHashText + 4)

	// maxMatchOctets is the size in bytes of a binary question: two million sha256. Its answer, a byte each, is kept until the
	// whole question is known to be well-formed.
	maxMatchOctets = 64 << 20

	// maxMatchKept is how many bytes of a question and its answer are kept for the next: a thousand hashes take a tenth of it.
	maxMatchKept = 2 << 20

	// matchChunk is how many hashes of a stream are looked up at once.
	matchChunk = 1024

	// matchBuffer is the size in bytes of what is read and written at once of a stream: some thousand hashes.
	matchBuffer = 64 << 10

	// laneBuffer is what a connection in the lane reads at once: a head must fit, and a question of some hashes does.
	laneBuffer = 4 << 10

	// maxLaneBody is the size in bytes of a question that the lane answers: a thousand sha256 in JSON take 74 KB. It must be so small that the answer to as
	// many lines as there can be stays below matchBuffer, from where on net/http sends it in chunks.
	maxLaneBody = 128 << 10

	// DefaultScanBytes is the size of the largest body that is scanned, unless Limits says otherwise.
	DefaultScanBytes = 256 << 20

	// maxRef is the length in bytes of scan's ref, which is the caller's own and ends up in the journal.
	maxRef = 256

	// MaxItems is the number of items in one publication. It has to stay well below the 65,536 records of one checkpoint.
	MaxItems = 10_000

	// maxPublish is the size in bytes of a publication: MaxItems of some 3 KB, the most that a record's body can hold.
	maxPublish = 32 << 20

	// MaxSuspended is the number of records in one suspension note (WIRE §5).
	MaxSuspended = 1000

	// maxList is the size in bytes of a list that is imported: ten million rows of 800.
	maxList = 8 << 30

	// maxSmall is the size in bytes of any other body: MaxSuspended references are the longest.
	maxSmall = 512 << 10

	// maxPolicyTest is the size in bytes of a question about another policy: a config of 1 MiB as a JSON string, in which quotes and
	// line ends take two bytes, and <, > and & six.
	maxPolicyTest = 4 << 20

	// maxHeader is the size in bytes of a request's headers, which hold a token at most.
	maxHeader = 16 << 10

	// maxToken is the length in bytes of a bearer token that is looked up at all.
	maxToken = 256

	// maxTokenName is the length in bytes of a token's name.
	maxTokenName = 64

	// defaultRequests is how many requests are answered at once, unless Limits says otherwise.
	defaultRequests = 256
	// queueTime is how long one more waits for its turn before it is told to come back.
	queueTime = 2 * time.Second

	// maxAudits is how many requests of the public monitor are answered at once; it must not take the node's own work away.
	maxAudits = 16
	// auditTime is how long one of them may count heads; the next goes on from there.
	auditTime = 2 * time.Second

	// maxEventID is the length in bytes of Last-Event-ID: ours have 26.
	maxEventID = 64
	// beatEvery is how often a stream of events says that it lives; a proxy cuts off what is silent for a minute.
	beatEvery = 15 * time.Second

	headerTime = 10 * time.Second // to send the headers
	idleTime   = 2 * time.Minute  // between requests
	laneEnd    = 4 * time.Second  // for what the lane is answering when the door closes; the node waits a second longer
	// stallTime is how long a body or an answer may make no progress. A whole upload may take longer, an idle one not.
	stallTime = 30 * time.Second
)

// What the client takes from the daemon, which is this user's own: the bounds keep a mistake from filling the memory.
const (
	maxAnswer     = 256 << 20 // bytes of one answer that is not a stream
	maxRecordLine = 64 << 10  // bytes of one record in a stream: 32 hashes in hex are 10 KB
	maxProblem    = 64 << 10  // bytes of an error
	maxImported   = 1 << 20   // bytes of a line about an import: the result has a hundred notes of 300
	clientChunk   = 1000      // hashes in one question: an answer may hold 100 matches of 400 bytes

	dialTime   = 5 * time.Second
	answerTime = 10 * time.Minute // until an answer begins: ten thousand items to be signed, a large file to be hashed
)

// What is taken from a mirror's tar stream.
const (
	maxMirrorFile  = 2 << 20       // bytes of a file: 256 bodies of 3,200 bytes are under 1 MiB
	maxMirrorPath  = 200           // bytes of a path
	maxMirrorFiles = 3 * (1 << 26) // files: a log of 2^34 records in bundles, bodies and tiles
)
