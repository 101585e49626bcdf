package notify

import "time"

// Every bound of this package.
const (
	// maxTargets is how many targets there may be: each has a file, a goroutine and a queue in memory.
	maxTargets = 16
	// maxWaiting is how many messages wait for a target: three days of one in half a minute.
	maxWaiting = 10_000
	// maxWaitingBytes bounds what they take in memory.
	maxWaitingBytes = 8 << 20
	// maxBody is the size in bytes of a message; events have some hundreds.
	maxBody = 32 << 10
	// maxQueueFile is the size in bytes of a queue's file at which it is written anew, and of what is read of one: all that may wait, thrice.
	maxQueueFile = 32 << 20
	// maxIdleFile is the size in bytes that the file of an empty queue may have before it is cut to nothing.
	maxIdleFile = 64 << 10
	// maxOffered is how many messages wait to be written: two thousand uploads that are blocked in the time that a sync of the disk takes.
	maxOffered = 2048
	// maxTogether is how many of them are written and synced at once.
	maxTogether = 256

	// maxName is the length in bytes of a target's name, which names a file.
	maxName = 40
	// maxWords is how many words a command may have, and maxWord how long one may be, in bytes.
	maxWords = 64
	maxWord  = 4096
	// maxURL is the length in bytes of a hook's URL.
	maxURL = 2048
	// maxSecretFile is the size in bytes of a file of secrets: maxSecrets lines of base64.
	maxSecretFile = 1024
	// maxSecrets is how many secrets sign at once: the old one and the new one, while they change.
	maxSecrets = 2
	// minSecret and maxSecret are the lengths in bytes of a secret, as Standard Webhooks has them.
	minSecret = 24
	maxSecret = 64

	// maxAnswer is how many bytes of a hook's answer are read; nothing in it is used, it only lets the connection be used again.
	maxAnswer = 16 << 10
	// maxSaid is how many bytes of what a failing command says are kept for the log.
	maxSaid = 512
)

const (
	// hookTime is how long a hook may take, from the name's look-up to the end of its answer.
	hookTime = 10 * time.Second
	// commandTime is how long a command may take; then it and what it started are killed.
	commandTime = 30 * time.Second
	// firstWait is how long the second attempt waits; each further one waits twice as long, until longestWait.
	firstWait   = time.Second
	longestWait = 5 * time.Minute
	// maxAge is how old a message may get before it is given up: a weekend.
	maxAge = 72 * time.Hour
	// maxRefusals is how many answers that blame the message itself it takes to give it up; the others wait behind it for a quarter of an hour.
	maxRefusals = 10
)
