// Package journal records each decision of the node in a hash-chained file, and counts them.
//
// A journal is a folder of files of JSON lines, lines-<13 digits>.jsonl by the number of their first line. Each line begins the same way:
//
//	{"seq":17,"prev":"<SHA-256 of line 16, hex>","id":"01KB…","time":"2026-11-29T02:00:00.123Z","kind":"decision",…
//
// prev is over the bytes of the line before, without its end; the first line's is 64 zeros. So whoever changes, drops, moves or adds a line
// breaks the chain there. The kinds of lines, each with a member of its name:
//
//	decision  an answer other than allow
//	upload    an allowed upload, kept only where the operator switched that on
//	act       what people did about a decision
//	import    a list that was taken into an own feed: whose, by which permission, how much; no decision, and counted nowhere
//	counts    how many were asked in an hour, and what came of them
//	note      what the journal itself went through: a torn line set aside, lines lost to a full disk
//	purged    stands for a run of lines whose time was over: it carries the hash of the last, so that the chain goes on
//
// A program that doesn't know a kind calls its lines damaged, and leaves them where they stand: the chain goes on behind them.
//
// Beside them lies the file head: the number and hash of the newest line that is on disk, and the counts of the hour so far, with a MAC. It is
// what tells that the end was cut off. A chain that was computed anew from some line on ends in another hash than the head's, and only who has
// the node's key can write another head, or a purged line.
//
// # What is in a line, and what isn't
//
// No hash, file name or user: hashes are HMACs under a key of the node (128 bits, by kind), so that a stolen journal can't be matched against a
// list; ref is the caller's own, opaque. A decision holds what judging it again under another policy takes: each match's record, kind, distance,
// strength, verdict, holds, known-good, number of publishers and the feed's age at that time, and the rules that were in force.
//
// # How long a line is kept
//
// A decision for as long as the operator says for its verdict, an act for as long as the longest of them. Imports are never purged: a record stays listed
// until somebody retracts it, so whoever is asked by which permission it was passed on needs the line for as long. It tells of a list and of
// nobody, but for what the operator writes as the reference: the number of a contract, not a person's name. Counts and notes are kept, too.
//
// # When a line is on disk
//
// Lines are written by one goroutine, as many as there are at a time, and one fsync makes all of them durable. Answers don't wait for it, but
// for those that block: they wait, at most [MaxWait], until their line is on disk. So a power cut loses at most the last second of what was
// logged or is to be reviewed, and no block that was answered in time. An import waits, too, and its caller keeps what the
// journal didn't take. The death of the process loses what hadn't been handed to the system yet, the
// last 20 milliseconds; the counts of allowed uploads may lack the last five seconds. A line that was torn is set aside at the next start, which
// the journal notes, and the chain goes on from the line before.
//
// A full or broken disk stops no answer. What can't be written waits in memory, up to [maxBacklog] bytes; beyond it decisions are missed:
// they have no id, are counted, there is an alarm, and a note says how many when the disk takes lines again.
//
// # What it doesn't do
//
// It doesn't make a copy elsewhere: who can write all files of the node, key included, can write another journal. Purged lines are gone from
// the files, not from the medium or from backups.
package journal
