package crypto

// Every bound of this package. All are checked before work or memory is spent on what they bound.
const (
	// maxNote is the size in bytes of the largest note that ParseNote reads, and of the longest line that
	// ParseLine does. x/mod's note package names the same million. The largest note we write is a decision receipt.
	maxNote = 1_000_000

	// maxText is the longest text that is signed, in bytes. It leaves room below maxNote for maxLines lines of
	// our own, each under 400 bytes, so that whatever we sign can be read back.
	maxText = 900_000

	// maxLines is the number of signature lines of a note (WIRE §1). C2SP wants at least 16 accepted; x/mod stops at
	// 100 too. Each line of a known key costs an Ed25519 verification, some 50 µs.
	maxLines = 100

	// maxName is the length in bytes of a key's name. The longest of ours, "<pub>/<feed>/roster", has 134.
	maxName = 255

	// maxVKey is the length in bytes of a vkey: name, "+", 8 hex digits, "+", 44 characters of base64.
	maxVKey = maxName + 1 + 8 + 1 + 44

	// maxKeyFile is the size in bytes of a key file. The longest that Save writes has under 1,200 bytes.
	maxKeyFile = 4096

	// maxStreamLine is the length in bytes of a line in the head of a sealed stream. Ours have under 100.
	maxStreamLine = 256

	// What a key file may ask of Argon2id, so that a hostile file can't demand a terabyte or an hour of work:
	// at most 8 passes over 1 GiB, some ten seconds. We write 3 passes over 64 MiB.
	maxArgonTime    = 8
	maxArgonMemory  = 1 << 20 // KiB
	maxArgonThreads = 16
)
