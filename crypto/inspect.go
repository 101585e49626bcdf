package crypto

import "fmt"

// KeyInfo is what a key file says of itself to whoever may read it, without its passphrase.
type KeyInfo struct {
	Name   string
	Public PublicKey // zero for a seal key
	Sealed bool      // the secret needs the passphrase
}

// Inspect reads a key file without opening its secret: its permissions (ErrPermissions), its sum and spelling, and the public key in it.
// That the secret is the public key's, only Load can tell.
func Inspect(path string) (KeyInfo, error) {
	info, err := inspect(path)
	if err != nil {
		return KeyInfo{}, fmt.Errorf("inspect key %q: %w", path, err)
	}
	return info, nil
}

func inspect(path string) (info KeyInfo, err error) {
	data, err := readKeyFile(path)
	if err != nil {
		return info, err
	}
	f, err := parseKeyFile(data)
	if err != nil {
		return info, err
	}
	info = KeyInfo{Name: f.name, Sealed: f.sealed}
	if f.kind == kindSeal {
		return info, nil
	}
	if info.Public, err = ParsePublicKey(f.public); err != nil {
		return KeyInfo{}, fmt.Errorf("%w: %w", errKeyFile, err)
	}
	return info, nil
}
