// Package crypto holds signing keys: it makes, seals and loads them, signs text and checks what others have signed.
//
// # Words
//
// A [PublicKey] is an Ed25519 key (RFC 8032) with a name and a type; written down it is a vkey. Its [PrivateKey] signs. The
// type says over what: TypeSignature over a text, TypeCosignature over a text and the time. A [Note] is a text with
// signature lines below it; a [Line] is one of them, by anybody; a [Signature] is a line that was checked with a key we
// know. A [Signer] signs texts with a key that may be kept elsewhere. A [SealKey] signs nothing: it encrypts what a node stores, and a [Sealer] does so quickly.
//
// Each key has one job, and its name says which (WIRE §1). A signer and the stamp of one feed share a name and differ
// in id; no key is both.
//
// # Notes
//
// The format is C2SP signed-note (c2sp.org/signed-note), with cosignatures after c2sp.org/tlog-cosignature:
//
//	eokm.example/known/1
//	0
//	47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
//
//	— eokm.example/known/1 oQCebmgrvp6XP3+IItJJXsfNF2CyIoHszsy7GgkKJoobFFSsRHCHic/gNHkPMS9AsJv/scwH9HvgwNL6ebJuFXeuTw0=
//	— eokm.example/known/1 eLZ8ZwAAAABrBACQagK+Cog1FPGrpbss1GnzNkoKNRgk8fENDtG7dZp8FcFbt2dwfUfQXqzH7oqS5U92EmFjUXqLp+Wt0bavW5cODg==
//
// The text is all up to the last blank line, its own newline included: here three lines. Exactly these bytes are signed. A line is
// an em dash (U+2014), a space, the name of the key, a space, and the base64 of 4 bytes of key id and the signature:
//
//	key id     SHA-256(name || 0x0A || type || key)[:4], big-endian
//	type 0x01  64 bytes: Ed25519 of the text
//	type 0x04  8 bytes: time in Unix seconds, big-endian; 64 bytes: Ed25519 of
//	           "cosignature/v1\ntime " || time in decimal || "\n" || text
//	vkey       name "+" key id in 8 hex digits "+" base64(type || 32 bytes of key)
//
// A note is UTF-8 without control characters (below U+0020) but newlines, has at most 1,000,000 bytes and 1 to 100 lines. Lines of
// keys we don't know, of any type, are carried and ignored. A line of a key we know that doesn't verify, or a second
// line of it, spoils the whole note. (golang.org/x/mod/sumdb/note, our model, knows only type 0x01, and drops the
// second line without a word.) Base64 and hex have one spelling each: what is read is written again byte for byte.
//
// # Key files
//
// One file a key, text, mode 0600, never overwritten. Not sealed:
//
//	hashfeed-key/v1
//	Secret: whoever has this file has the key. Never send it; keep a copy of it offline.
//	type signature
//	name eokm.example/known/1
//	public eokm.example/known/1+026ad4c6+AYVIppWjOEuGgLlqx5Ms3UPQ6+ZDMLMRNOvizQh0kOZe
//	sealed no
//	secret <base64 of 32 bytes: Ed25519 seed, or seal key>
//	sum <SHA-256 of all lines above, in hex>
//
// type is "signature", "cosignature" or "seal"; a seal key has no line "public". Sealed with a passphrase:
//
//	sealed argon2id <passes> <KiB> <threads> <base64 of 16 bytes: salt>
//	secret <base64 of 72 bytes: nonce (24) || XChaCha20-Poly1305>
//
// The key of the seal is Argon2id (RFC 9106) of the passphrase, 3 passes over 64 MiB with 4 threads; its associated data
// is all lines above "secret". The sum finds damage before the passphrase is asked for, so that "wrong passphrase" means that. It
// doesn't stop whoever can write the file, who could as well put another key there; that the key is the expected one, its
// user checks by the public key.
//
// # Sealed values
//
//	nonce (24 random bytes) || XChaCha20-Poly1305(plaintext; associated data)
//
// What is sealed can neither be read nor changed nor, where the associated data names its place, moved by somebody who has the disk but not
// the key. A whole disk set back to an older state opens as it did then: that is not found here (WIRE §9).
//
// # What it does not do
//
// It doesn't know what a text means, which keys to believe or how many are enough: package feed does. It asks for no
// passphrase, reads no clock, opens no socket and starts no goroutine. It keeps no key in hardware, and
// doesn't wipe memory: Go may have copied what would be wiped.
package crypto
