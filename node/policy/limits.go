package policy

import "time"

const (
	// MaxDistance is the largest Hamming distance in bits, of 256, up to which a rule may match PDQ. Strangers are some 128 bits
	// apart; the reference recommends 31.
	MaxDistance = 63

	// clockSkew is how far a stamp may lie ahead of our clock and still count as fresh (WIRE §3).
	clockSkew = 300 * time.Second
)

const (
	// maxCounted is how many records a Breaker counts at once: few of those that are listed match within an hour.
	maxCounted = 4096
	// maxSampled is how many uploads of a record it keeps, 16 bytes each: 16 MB where all match that much. Counts up to it are exact.
	maxSampled = 256
)
