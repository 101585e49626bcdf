package crypto

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

var (
	// ErrExists means that there is a file where a key was to be saved. Keys are never overwritten.
	ErrExists = errors.New("file exists, and keys are never overwritten")

	// ErrPermissions means that others than the owner may read or write a key file. The error tells the command that
	// mends it; whether the key has leaked is for a person to judge.
	ErrPermissions = errors.New("others may read or write this key file")

	errNotRegular = errors.New("not a regular file")
)

// Save writes the key to a new file with mode 0600, sealed if the passphrase isn't empty. It never overwrites: ErrExists.
// When it returns without an error the file and its name are on disk (fsync of file and folder).
func (k *PrivateKey) Save(path string, passphrase []byte) error {
	if err := k.public.check(); err != nil {
		return fmt.Errorf("save key %q: %w", path, err)
	}
	f := newKeyFile(k.public.Type.String(), k.public.Name, k.public.String(), [32]byte(k.key.Seed()), passphrase)
	if err := writeNew(path, f.encode()); err != nil {
		return fmt.Errorf("save key %q: %w", path, err)
	}
	return nil
}

// Load reads a signing key from a file that Save wrote. ErrPassphraseNeeded, ErrPassphraseWrong (both are ErrPassphrase)
// and ErrPermissions call for the user; any other error says what is wrong with the file. The caller checks that the key has the name
// and type it was looking for.
func Load(path string, passphrase []byte) (*PrivateKey, error) {
	data, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("load key %q: %w", path, err)
	}
	k, err := decodeKey(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("load key %q: %w", path, err)
	}
	return k, nil
}

// Save is PrivateKey.Save for a seal key. The name is that of its owner and use, "<node>/store".
func (k SealKey) Save(path, name string, passphrase []byte) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("save seal key %q: %w", path, err)
	}
	if k == (SealKey{}) {
		return fmt.Errorf("save seal key %q: %w", path, errZeroKey)
	}
	if err := writeNew(path, newKeyFile(kindSeal, name, "", k, passphrase).encode()); err != nil {
		return fmt.Errorf("save seal key %q: %w", path, err)
	}
	return nil
}

// LoadSealKey is Load for a seal key, which must have been saved under the given name.
func LoadSealKey(path, name string, passphrase []byte) (SealKey, error) {
	data, err := readKeyFile(path)
	if err != nil {
		return SealKey{}, fmt.Errorf("load seal key %q: %w", path, err)
	}
	k, err := decodeSealKey(data, name, passphrase)
	if err != nil {
		return SealKey{}, fmt.Errorf("load seal key %q: %w", path, err)
	}
	return k, nil
}

var (
	errOtherKind = errors.New("key of another kind")
	errOtherName = errors.New("key of another name")
	errOtherKey  = errors.New("secret is not that of the public key in the file")
	errZeroKey   = errors.New("key is all zeros")
)

func decodeKey(data, passphrase []byte) (*PrivateKey, error) {
	f, err := parseKeyFile(data)
	if err != nil {
		return nil, err
	}
	if f.kind == kindSeal {
		return nil, fmt.Errorf("%w: a seal key, want one that signs", errOtherKind)
	}
	public, err := ParsePublicKey(f.public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errKeyFile, err)
	}
	if public.Name != f.name {
		return nil, fmt.Errorf("%w: name %q, but the public key's is %q", errKeyFile, f.name, public.Name)
	}
	if public.Type.String() != f.kind {
		return nil, fmt.Errorf("%w: type %s, but the public key's is %s", errKeyFile, f.kind, public.Type)
	}
	seed, err := f.open(passphrase)
	if err != nil {
		return nil, err
	}
	k := NewKeyFromSeed(public.Name, public.Type, seed)
	if k.public != public {
		return nil, errOtherKey
	}
	return k, nil
}

func decodeSealKey(data []byte, name string, passphrase []byte) (SealKey, error) {
	f, err := parseKeyFile(data)
	if err != nil {
		return SealKey{}, err
	}
	if f.kind != kindSeal {
		return SealKey{}, fmt.Errorf("%w: a key that signs, want a seal key", errOtherKind)
	}
	if f.name != name {
		return SealKey{}, fmt.Errorf("%w: %q, want %q", errOtherName, f.name, name)
	}
	secret, err := f.open(passphrase)
	if err != nil {
		return SealKey{}, err
	}
	if secret == [32]byte{} {
		return SealKey{}, errZeroKey
	}
	return secret, nil
}

// readKeyFile reads a key file that nobody but its owner may read. The mode is asked of the open file, so that it can't be
// exchanged in between.
func readKeyFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	// Windows has no such bits: its access lists are the operator's care.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%w (mode %04o): run: chmod 600 %q", ErrPermissions, mode, path)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1)) // one more, for parseKeyFile to refuse it
	if err != nil {
		return nil, withoutPath(err)
	}
	return data, nil
}

// writeNew writes a file that must not exist: O_EXCL, write, fsync, fsync of the folder. On an error it takes its own file away
// again; after a crash on the way a truncated file may stand there, which Load refuses and a person removes.
func writeNew(path string, data []byte) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return withoutPath(err)
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(path)
		}
	}()
	if _, err := file.Write(data); err != nil {
		return withoutPath(err)
	}
	if err := file.Sync(); err != nil {
		return withoutPath(err)
	}
	if err := file.Close(); err != nil {
		return withoutPath(err)
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the name of a new file last. Windows can't, and doesn't need it.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// withoutPath takes the path off an error of package os: the caller has already named it.
func withoutPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
