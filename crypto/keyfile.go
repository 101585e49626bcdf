package crypto

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

var (
	// ErrPassphrase is what both errors about passphrases are.
	ErrPassphrase = errors.New("key file is sealed")

	// ErrPassphraseNeeded means that the file is sealed and no passphrase was given.
	ErrPassphraseNeeded = fmt.Errorf("%w: passphrase needed", ErrPassphrase)

	// ErrPassphraseWrong means that the passphrase given doesn't open the file, which is whole.
	ErrPassphraseWrong = fmt.Errorf("%w: wrong passphrase", ErrPassphrase)

	errKeyFile = errors.New("malformed key file")
)

const (
	keyFileMagic = "hashfeed-key/v1\n"

	// keyFileWarning tells whoever opens the file what it is.
	keyFileWarning = "Secret: whoever has this file has the key. Never send it; keep a copy of it offline.\n"

	kindSeal = "seal" // besides the names of the two types

	saltSize = 16
)

// A kdf is what Argon2id is asked for (RFC 9106 §3.1).
type kdf struct {
	time    uint32 // passes
	memory  uint32 // KiB
	threads uint8
}

// sealCost is what new files are sealed with: the second recommended option of RFC 9106 §4, for machines where 2 GiB
// isn't to be had. Tests make it cheap.
var sealCost = kdf{time: 3, memory: 64 << 10, threads: 4}

func (c kdf) check() error {
	if c.time < 1 || c.time > maxArgonTime || c.threads < 1 || c.threads > maxArgonThreads ||
		c.memory < 8*uint32(c.threads) || c.memory > maxArgonMemory {
		return fmt.Errorf("%w: argon2id parameters outside of 1–%d passes, 8 a thread to %d KiB, 1–%d threads",
			errKeyFile, maxArgonTime, maxArgonMemory, maxArgonThreads)
	}
	return nil
}

// A keyFile is what a key file says, its secret possibly sealed.
type keyFile struct {
	kind   string
	name   string
	public string // vkey; empty for a seal key
	sealed bool
	cost   kdf    // if sealed
	salt   []byte // if sealed
	secret []byte // 32 bytes, or nonce || sealed 32 bytes
}

// head is all lines before the secret. It is the associated data of a sealed one.
func (f keyFile) head() []byte {
	var b bytes.Buffer
	b.WriteString(keyFileMagic)
	b.WriteString(keyFileWarning)
	fmt.Fprintf(&b, "type %s\nname %s\n", f.kind, f.name)
	if f.public != "" {
		fmt.Fprintf(&b, "public %s\n", f.public)
	}
	if f.sealed {
		fmt.Fprintf(&b, "sealed argon2id %d %d %d %s\n", f.cost.time, f.cost.memory, f.cost.threads,
			base64.StdEncoding.EncodeToString(f.salt))
	} else {
		b.WriteString("sealed no\n")
	}
	return b.Bytes()
}

// encode returns the file. Its last line is a checksum over all others: it finds damage, not forgery.
func (f keyFile) encode() []byte {
	b := fmt.Appendf(f.head(), "secret %s\n", base64.StdEncoding.EncodeToString(f.secret))
	return fmt.Appendf(b, "sum %x\n", sha256.Sum256(b))
}

// newKeyFile puts a secret of 32 bytes into a file, sealed if there is a passphrase.
func newKeyFile(kind, name, public string, secret [32]byte, passphrase []byte) keyFile {
	f := keyFile{kind: kind, name: name, public: public, secret: secret[:]}
	if len(passphrase) > 0 {
		f.sealed, f.cost, f.salt = true, sealCost, make([]byte, saltSize)
		rand.Read(f.salt)
		f.secret = f.passphraseKey(passphrase).Seal(secret[:], f.head())
	}
	return f
}

// passphraseKey spends the work that makes guessing passphrases dear.
func (f keyFile) passphraseKey(passphrase []byte) SealKey {
	return SealKey(argon2.IDKey(passphrase, f.salt, f.cost.time, f.cost.memory, f.cost.threads, 32))
}

// open returns the secret. A passphrase for a file that isn't sealed is not an error: a node opens all its keys with one.
func (f keyFile) open(passphrase []byte) (secret [32]byte, err error) {
	if !f.sealed {
		return [32]byte(f.secret), nil
	}
	if len(passphrase) == 0 {
		return secret, ErrPassphraseNeeded
	}
	b, err := f.passphraseKey(passphrase).Open(f.secret, f.head())
	if err != nil {
		return secret, ErrPassphraseWrong // the checksum has shown that it isn't damage
	}
	return [32]byte(b), nil
}

// parseKeyFile reads what encode writes, and nothing else.
func parseKeyFile(data []byte) (keyFile, error) {
	if len(data) > maxKeyFile {
		return keyFile{}, fmt.Errorf("%w: larger than %d bytes", errKeyFile, maxKeyFile)
	}
	if err := checkSum(data); err != nil {
		return keyFile{}, err
	}
	var f keyFile
	var err error
	r := lineReader{rest: string(data[len(keyFileMagic):])}
	if !r.literal(keyFileWarning) {
		return keyFile{}, fmt.Errorf("%w: second line is another", errKeyFile)
	}
	f.kind = r.field("type")
	f.name = r.field("name")
	switch f.kind {
	case TypeSignature.String(), TypeCosignature.String():
		f.public = r.field("public")
	case kindSeal:
	default:
		return keyFile{}, fmt.Errorf("%w: unknown key type %s", errKeyFile, quote(f.kind))
	}
	if seal := r.field("sealed"); seal != "no" {
		if f.cost, f.salt, err = parseSealed(seal); err != nil {
			return keyFile{}, err
		}
		f.sealed = true
	}
	secret := r.field("secret")
	if r.missing != "" {
		return keyFile{}, fmt.Errorf("%w: no line %q where one belongs", errKeyFile, r.missing)
	}
	if err := checkName(f.name); err != nil {
		return keyFile{}, fmt.Errorf("%w: %w", errKeyFile, err)
	}
	if f.secret, err = decodeBase64(secret); err != nil {
		return keyFile{}, fmt.Errorf("%w: secret: %w", errKeyFile, err)
	}
	want := 32
	if f.sealed {
		want += SealOverhead
	}
	if len(f.secret) != want {
		return keyFile{}, fmt.Errorf("%w: secret has %d bytes, want %d", errKeyFile, len(f.secret), want)
	}
	if !bytes.Equal(f.encode(), data) {
		return keyFile{}, fmt.Errorf("%w: not in the spelling that is written", errKeyFile)
	}
	return f, nil
}

// checkSum finds damage of any kind, before anything in the file is believed.
func checkSum(data []byte) error {
	if !bytes.HasPrefix(data, []byte(keyFileMagic)) {
		return fmt.Errorf("%w: doesn't begin with %q", errKeyFile, strings.TrimSpace(keyFileMagic))
	}
	const label = "\nsum "
	at := bytes.Index(data, []byte(label))
	if at < 0 {
		return fmt.Errorf("%w: truncated, no line with a sum", errKeyFile)
	}
	sum := data[at+len(label):]
	switch want := 2*sha256.Size + 1; {
	case len(sum) < want:
		return fmt.Errorf("%w: truncated within its sum", errKeyFile)
	case len(sum) > want:
		return fmt.Errorf("%w: something follows its sum", errKeyFile)
	}
	got := sha256.Sum256(data[:at+1])
	if string(sum) != hex.EncodeToString(got[:])+"\n" {
		return fmt.Errorf("%w: damaged, its sum is another", errKeyFile)
	}
	return nil
}

func parseSealed(s string) (c kdf, salt []byte, err error) {
	p := strings.Split(s, " ")
	if len(p) != 5 || p[0] != "argon2id" {
		return c, nil, fmt.Errorf("%w: sealed in an unknown way", errKeyFile)
	}
	time, err1 := strconv.ParseUint(p[1], 10, 32)
	memory, err2 := strconv.ParseUint(p[2], 10, 32)
	threads, err3 := strconv.ParseUint(p[3], 10, 8)
	if err := errors.Join(err1, err2, err3); err != nil {
		return c, nil, fmt.Errorf("%w: argon2id parameters: %w", errKeyFile, err)
	}
	c = kdf{uint32(time), uint32(memory), uint8(threads)}
	if err := c.check(); err != nil {
		return c, nil, err
	}
	salt, err = decodeBase64(p[4])
	if err != nil || len(salt) != saltSize {
		return c, nil, fmt.Errorf("%w: salt isn't the base64 of %d bytes", errKeyFile, saltSize)
	}
	return c, salt, nil
}

// A lineReader takes lines off a text, and remembers the first that wasn't there.
type lineReader struct {
	rest    string
	missing string
}

func (r *lineReader) literal(s string) bool {
	rest, ok := strings.CutPrefix(r.rest, s)
	r.rest = rest
	return ok
}

func (r *lineReader) field(label string) string {
	line, rest, _ := strings.Cut(r.rest, "\n")
	value, ok := strings.CutPrefix(line, label+" ")
	if !ok {
		if r.missing == "" {
			r.missing = label
		}
		return ""
	}
	r.rest = rest
	return value
}
