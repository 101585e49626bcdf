package node

import "hashfeed/feed"

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
	// maxAlike is of how many records that one upload matches it is asked who else lists them: each asks some four hashes more.
	maxAlike = 16
	// maxDisputesTold is how many open disputes are alarms of their own: more fill the screen.
	maxDisputesTold = 20
	// maxDoubts is how many doubts of our own about records are kept: more than people can look at in a day.
	maxDoubts = 1000
	// maxDoubtFile bounds their file, in bytes: lines of 520.
	maxDoubtFile = maxDoubts * 640
	// maxCountsFile bounds a file of what members have shared of a week, in bytes: lines of 1,000.
	maxCountsFile = feed.MaxMembers * 1100
	// maxSharedFile bounds the file of what this node shares, in bytes: maxFeeds feeds of keepWeeks weeks, of 1,000 each.
	maxSharedFile = maxFeeds * (keepWeeks + 1) * 1100
	// maxWithdrawn is how many withdrawals of a log are kept: whom older ones might free, later heads have freed since.
	maxWithdrawn = 100
	// maxWithdrawnFile bounds their file, in bytes: notes of a hundred bytes and seven lines.
	maxWithdrawnFile = maxWithdrawn * 4096
	// maxListFile bounds a list that is imported, in bytes: ten million rows of 800.
	maxListFile = 8 << 30
	// maxListRows bounds its rows: each takes some 30 bytes of memory, by which those that come twice are found.
	maxListRows = 20_000_000
	// maxMapFile bounds a map of codes, in bytes: a thousand of 256.
	maxMapFile = 256 << 10
	// maxSpoolHead bounds what a list is kept with, in bytes: a map, escaped.
	maxSpoolHead = 2 << 20
	// importBatch is how many records, and four times as many rows, of a list are signed at once; nobody else can sign meanwhile.
	importBatch = 8192
	// maxImports is how many past imports are remembered: one a day for thirty years.
	maxImports = 10_000
	// maxImportsFile bounds their file, in bytes.
	maxImportsFile = maxImports * 1024
	// maxTakenFile bounds the file of what imports have retracted, in bytes: ten million items of 16.
	maxTakenFile = 160 << 20
	// maxHeld is how many imports may be held: each is a file of its list, and nobody reads more.
	maxHeld = 20
	// maxRowNotes is of how many rows it is told why they weren't taken: whoever has mended a hundred knows what is wrong.
	maxRowNotes = 100
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
	// maxMatchedKept is the same of what the journal keeps of a match, some 600 bytes each.
	maxMatchedKept = 64
	// maxJournalDays bounds how long the journal keeps anything: ten years.
	maxJournalDays = 3650
	// askChunk is how many hashes are looked up before it is asked whether the answer is still wanted.
	askChunk = 1024
	// maxNotify is how many targets may be notified: each has a queue in memory.
	maxNotify = 16
	// keptEvents is how many events are kept for listeners that come back, of some hundred bytes each.
	keptEvents = 1024
	// maxListeners is how many may listen to events at once, and listenerBuffer how many events one may be behind.
	maxListeners   = 32
	listenerBuffer = 256
	// maxEventRecords is how many records an event names: more, nobody reads.
	maxEventRecords = 20
	// maxToldFile bounds the file of what was told, in bytes: maxFeeds feeds of some logs, and alarms, in lines of maxAlarmText and 400 more.
	maxToldFile = 4 << 20
	// maxAlarmText is how many bytes of an alarm's text are kept, to say what is over.
	maxAlarmText = 1024
	// tellChunk is how many events are told before it is waited until they are on the disk.
	tellChunk = 500
	// maxKnownFile bounds the operator's list of known-good files, in bytes: knowngood.MaxOwn of the longest lines have 230 MB.
	maxKnownFile = 256 << 20
	// maxKnownName bounds the name of a known-good file, in bytes: file systems allow no longer ones.
	maxKnownName = 255
	// maxKnownHashes bounds the hashes of a known-good file: there are five that we compute.
	maxKnownHashes = 8
)
