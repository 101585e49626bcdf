package node

const (
	// maxFeeds bounds the feeds of a node: a match.ID has 8 bits for them. There are some fifty hotlines in the world.
	maxFeeds = 256
	// replayChunk is how many records are applied at once at the start: 256 bundles, some 20 MB.
	replayChunk = 1 << 16
	// maxPublishItems bounds one publish: one checkpoint takes at most feed.MaxBatch records, and a request stays in memory.
	maxPublishItems = 10_000
	// maxMemberFile bounds the file of members, in bytes: feed.MaxMembers lines of 512.
	maxMemberFile = 2 << 20
	// maxMemberDays bounds a membership: whoever is still one after ten years can be added again.
	maxMemberDays = 3650
	// maxTokens bounds the tokens of a node: each request is compared with all of them.
	maxTokens = 1000
	// maxTokenFile bounds the file of tokens, in bytes: maxTokens lines.
	maxTokenFile = 1 << 20
	// maxBackupHead bounds node.json of a backup, in bytes: maxFeeds feeds of 300, and as many that were left out.
	maxBackupHead = 1 << 20
	// maxBackupPart bounds a file of a feed in a backup, in bytes. The longest are lists of receipts: a million of 200 bytes.
	maxBackupPart = 256 << 20
	// maxBackupPath bounds a path in a backup, in bytes.
	maxBackupPath = 400
	// maxCharterFile bounds a charter with its signatures, in bytes: 8 KiB of text, 100 lines.
	maxCharterFile = 64 << 10
	// maxEvidenceFile bounds a piece of evidence, in bytes (WIRE §6).
	maxEvidenceFile = 1 << 20
	// maxVKeyFile bounds the file of a vkey, in bytes: a name of 134 and 60 more.
	maxVKeyFile = 1024
	// maxSignedFile bounds a signer's record, in bytes: a hundred bytes a batch, ten a day for forty years.
	maxSignedFile = 16 << 20
	// maxPendingFile bounds the file of a batch that awaits approval, in bytes: feed.MaxBatch records of 2 KB as JSON.
	maxPendingFile = 256 << 20
	// maxReports is how many members' reports wait for a batch: more than people can read in a day.
	maxReports = 1000
	// maxReportFile bounds their file, in bytes: lines of 400.
	maxReportFile = maxReports * 512
	// maxWithdrawn is how many withdrawals of a log are kept: whom older ones might free, later heads have freed since.
	maxWithdrawn = 100
	// maxWithdrawnFile bounds their file, in bytes: notes of a hundred bytes and seven lines.
	maxWithdrawnFile = maxWithdrawn * 4096
	// maxSample is how many records of a batch an approver is shown: more nobody reads.
	maxSample = 5
	// maxSnapshotHead bounds the head of a snapshot, in bytes: 20 a bundle of bodies that was written again; ten million records have 40,000.
	maxSnapshotHead = 64 << 20
	// maxSaidLine bounds a statement in a snapshot, in bytes: two references and 48 bytes.
	maxSaidLine = 1024
	// cachedBodies is how many records' bodies are kept of those that were matched: some 6 MB, as most have four hashes; 70 MB if all are of the
	// largest.
	cachedBodies = 1 << 14
	// maxFoundKept is how many candidates' memory is used again, some 300 bytes each: few hashes match more records.
	maxFoundKept = 64
	// askChunk is how many hashes are looked up before it is asked whether the answer is still wanted.
	askChunk = 1024
)
