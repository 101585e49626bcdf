package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	p2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// keyring is the keys under DIR. Those of the node are read at the start; those that sign a feed when they sign, so that
// a root key may be away.
type keyring struct {
	dir        layout
	passphrase []byte
	node       p2pcrypto.PrivKey
	id         peer.ID
	witness    *crypto.PrivateKey
	journal    *crypto.PrivateKey
}

func openKeyring(dir layout, name string, passphrase []byte) (*keyring, error) {
	k := &keyring{dir: dir, passphrase: passphrase}
	key, err := crypto.Load(dir.nodeKey(), passphrase)
	if err != nil {
		return nil, err
	}
	if k.node, err = p2pcrypto.UnmarshalEd25519PrivateKey(key.Ed25519()); err != nil {
		return nil, fmt.Errorf("use node key: %w", err)
	}
	if k.id, err = peer.IDFromPrivateKey(k.node); err != nil {
		return nil, fmt.Errorf("use node key: %w", err)
	}
	if k.witness, err = k.load(dir.witnessKey(), name+"/witness"); err != nil {
		return nil, err
	}
	if k.journal, err = k.load(dir.journalKey(), name+"/journal"); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *keyring) peerID() string { return k.id.String() }

// load reads a key file and wants the key in it to be the one that its place says.
func (k *keyring) load(path, name string) (*crypto.PrivateKey, error) {
	key, err := crypto.Load(path, k.passphrase)
	if err != nil {
		return nil, err
	}
	if got := key.Public().Name; got != name {
		return nil, fmt.Errorf("load key %s: it is the key of %s, not of %s", path, got, name)
	}
	return key, nil
}

// owns says whether the keys of a feed are here.
func (k *keyring) owns(name feed.Name) bool {
	_, err := os.Stat(k.dir.feedKeys(name))
	return err == nil
}

// hasRoot says whether the first root key of an own feed lies here, where it need be only while it signs a charter.
func (k *keyring) hasRoot(name feed.Name) bool {
	_, err := os.Lstat(k.dir.rootKey(name))
	return err == nil
}

// own lists the feeds whose keys are here, by their folders.
func (k *keyring) own(publisher string) (names []feed.Name, err error) {
	folders, err := os.ReadDir(filepath.Join(k.dir.keys(), "feeds"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, f := range folders {
		if name, err := feed.ParseName(publisher + "/" + f.Name()); err == nil && f.IsDir() {
			names = append(names, name)
		}
	}
	return names, err
}

// signing loads what signs the current log of an own feed with one signer.
func (k *keyring) signing(chain *feed.Chain) (feed.Signing, error) {
	signer, err := k.signer(chain.Newest())
	if err != nil {
		return feed.Signing{}, err
	}
	stamp, err := k.stamp(chain.Newest())
	if err != nil {
		return feed.Signing{}, err
	}
	return feed.Signing{Chain: chain, Signers: []crypto.Signer{signer}, Stamp: stamp}, nil
}

// signer is this node's own signer of an own feed's current log: its key file, or the key in an ssh-agent that the file
// signer.vkey names.
func (k *keyring) signer(c feed.Charter) (crypto.Signer, error) {
	path := k.dir.signerKey(c.Feed, c.Log)
	vkey, err := readSmall(k.dir.agentKey(c.Feed, c.Log), maxVKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return k.load(path, string(c.Origin()))
	}
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("load key %s: there is a signer.vkey beside it: which of the two signs?", path)
	}
	public, err := crypto.ParsePublicKey(strings.TrimSuffix(string(vkey), "\n"))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", k.dir.agentKey(c.Feed, c.Log), err)
	}
	if public.Name != string(c.Origin()) {
		return nil, fmt.Errorf("read %s: it is the key of %s, not of %s", k.dir.agentKey(c.Feed, c.Log), public.Name, c.Origin())
	}
	return AgentSigner(public), nil
}

// stamp loads the stamp key of an own feed's current log.
func (k *keyring) stamp(c feed.Charter) (*crypto.PrivateKey, error) {
	return k.load(k.dir.stampKey(c.Feed, c.Log), string(c.Origin()))
}

// readSmall reads a file of at most most bytes.
func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("read %s: longer than %d bytes", path, most)
	}
	return data, err
}

// keyPlan is a key to be made: its file, its name and its type.
type keyPlan struct {
	path, name string
	kind       crypto.Type
}

// makeKeys makes keys and stores them; none of the files may exist.
func makeKeys(passphrase []byte, plans ...keyPlan) ([]*crypto.PrivateKey, error) {
	var made []*crypto.PrivateKey
	for _, p := range plans {
		if _, err := os.Lstat(p.path); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("make key %s: %w", p.path, fs.ErrExist)
		}
		key, err := crypto.GenerateKey(p.name, p.kind)
		if err != nil {
			return nil, err
		}
		if err := key.Save(p.path, passphrase); err != nil {
			return nil, err
		}
		made = append(made, key)
	}
	return made, nil
}
