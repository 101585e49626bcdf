package node

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/knowngood"
)

// fileCheck reads the node's files outside of the store: config, keys, tokens, members, evidence. It needs no node that opens, so
// that it can say why one doesn't.
type fileCheck struct {
	dir        layout
	passphrase []byte
	// chain returns the charters of a feed; nil where none are known.
	chain  func(feed.Name) *feed.Chain
	report func(api.Finding)

	config Config // zero if it can't be read
}

const (
	meansKey      = "what this key signs can't be signed"
	meansLeak     = "whoever read it may have the key"
	remedyRestore = "hashfeed restore FILE into an empty directory, from a backup"
)

// run checks all of them.
func (c *fileCheck) run() {
	var err error
	if c.config, err = LoadConfig(c.dir.config()); err != nil {
		c.damaged("config", c.dir.config(), err, "the node doesn't start", "hashfeed config check; mend the lines that it names")
	}
	c.private(c.dir.keys())
	if name := c.config.Name; name != "" {
		c.key(c.dir.nodeKey(), name+"/node", nil)
		c.key(c.dir.witnessKey(), name+"/witness", nil)
		c.key(c.dir.journalKey(), name+"/journal", nil)
		c.key(c.dir.sealKey(), name+"/store", nil)
	}
	c.feeds()
	if _, err := readJSONLines(c.dir.tokens(), maxTokenFile, storedToken.check); err != nil {
		c.damaged("tokens", c.dir.tokens(), err, "the node doesn't start", "delete the file and make the tokens anew: hashfeed token create")
	}
	if _, err := readJSONLines(c.dir.doubts(), maxDoubtFile, doubt.check); err != nil {
		c.damaged("doubts", c.dir.doubts(), err, "what was held for matching too much isn't any more", "delete the file: what matches too much again is held again")
	}
	if _, err := readJSONLines(c.dir.known(), maxKnownFile, knownGood.check); err != nil {
		c.damaged("knowngood", c.dir.known(), err, "the node doesn't start", "delete the file and add the files anew: hashfeed knowngood add")
	}
	if _, err := openSharing(c.dir.shared()); err != nil {
		c.damaged("counts", c.dir.shared(), err, "what was shared with publishers isn't known, and begins anew with the next week", "delete the file")
	}
	weeks, _ := os.ReadDir(c.dir.countsDir())
	for _, week := range weeks {
		path := filepath.Join(c.dir.countsDir(), week.Name())
		if _, err := readJSONLines(path, maxCountsFile, takenCounts.check); err != nil {
			c.damaged("counts", path, err, "what members shared of that week can't be shown", "delete the file, or restore it from a backup")
		}
	}
	for _, path := range c.config.KnownGood.Bloom {
		if _, err := knowngood.OpenBloom(c.dir.bloom(path)); err != nil {
			c.damaged("knowngood", c.dir.bloom(path), err, "the node doesn't start", "fetch the filter again, or take it out of [knowngood] bloom")
		}
	}
	c.evidence()
}

// name is a file as people call it: below DIR.
func (c *fileCheck) name(path string) string {
	if rel, err := filepath.Rel(string(c.dir), path); err == nil {
		return rel
	}
	return path
}

func (c *fileCheck) damaged(kind, path string, err error, means, remedy string) {
	c.report(api.Finding{Kind: kind, Where: c.name(path), Text: err.Error(), Means: means, Remedy: remedy, State: api.FindingDamaged})
}

// private wants a folder that nobody else can enter.
func (c *fileCheck) private(dir string) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		c.damaged("key", dir, err, "the node doesn't start", remedyRestore)
	case info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows":
		c.damaged("key", dir, fmt.Errorf("others may enter the folder (mode %04o)", info.Mode().Perm()), meansLeak, fmt.Sprintf("chmod 700 %q", dir))
	}
}

// key checks a key file. want are the public keys one of which it must be by a charter; nil: nobody says.
func (c *fileCheck) key(path, name string, want []crypto.PublicKey) {
	info, err := crypto.Inspect(path)
	switch {
	case errors.Is(err, crypto.ErrPermissions):
		c.damaged("key", path, errors.New("others may read or write this key file"), meansLeak, fmt.Sprintf("chmod 600 %q", path))
		return
	case err != nil:
		c.damaged("key", path, err, meansKey, remedyRestore)
		return
	case info.Name != name:
		c.damaged("key", path, fmt.Errorf("it is the key of %s, not of %s", info.Name, name), meansKey, remedyRestore)
		return
	case want != nil && !slices.Contains(want, info.Public):
		c.damaged("key", path, fmt.Errorf("its public key isn't the charter's"), meansKey, remedyRestore)
		return
	}
	if info.Sealed && len(c.passphrase) == 0 {
		c.report(api.Finding{Kind: "key", Where: c.name(path), Text: "sealed, and no passphrase is at hand: its secret is unchecked",
			Means: "nothing is known to be wrong", Remedy: "hashfeed fsck --passphrase-file FILE", State: api.FindingUnchecked})
		return
	}
	if info.Public == (crypto.PublicKey{}) {
		_, err = crypto.LoadSealKey(path, name, c.passphrase)
	} else {
		_, err = crypto.Load(path, c.passphrase)
	}
	if errors.Is(err, crypto.ErrPassphraseWrong) {
		c.report(api.Finding{Kind: "key", Where: c.name(path), Text: "sealed with another passphrase: its secret is unchecked",
			Means: "nothing is known to be wrong", Remedy: "hashfeed fsck --passphrase-file FILE", State: api.FindingUnchecked})
	} else if err != nil {
		c.damaged("key", path, err, meansKey, remedyRestore)
	}
}

// feeds checks the keys of the own feeds, and who may read them.
func (c *fileCheck) feeds() {
	folders, err := os.ReadDir(filepath.Join(c.dir.keys(), "feeds"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.damaged("key", filepath.Join(c.dir.keys(), "feeds"), err, meansKey, remedyRestore)
	}
	for _, f := range folders {
		name, err := feed.ParseName(c.config.Name + "/" + f.Name())
		if err != nil {
			continue // without a config the owner isn't known; a stray file is nobody's key
		}
		if _, err := readJSONLines(c.dir.members(name), maxMemberFile, membership.check); err != nil {
			c.damaged("members", c.dir.members(name), err, "the next roster can't be signed; members keep reading until the last one expires",
				"restore the file from a backup, or delete it and add the members anew: hashfeed member add")
		}
		chain := c.chain(name)
		if chain == nil {
			continue
		}
		charter := chain.Newest()
		if _, err := os.Stat(c.dir.rootKey(name)); err == nil { // it may be kept elsewhere
			c.key(c.dir.rootKey(name), string(name)+"/root", charter.Root.Keys)
		}
		if charter.Roster != nil {
			c.key(c.dir.rosterKey(name), string(name)+"/roster", []crypto.PublicKey{*charter.Roster})
		}
		logs, err := os.ReadDir(c.dir.feedKeys(name))
		if err != nil {
			c.damaged("key", c.dir.feedKeys(name), err, meansKey, remedyRestore)
		}
		current := false
		for _, l := range logs {
			n, err := strconv.Atoi(l.Name())
			if err != nil || strconv.Itoa(n) != l.Name() {
				continue
			}
			law, ok := chain.ForLog(n)
			if !ok {
				continue // prepared for a charter that isn't signed yet
			}
			current = current || n == charter.Log
			if _, err := os.Stat(c.dir.signerKey(name, n)); err == nil {
				c.key(c.dir.signerKey(name, n), string(law.Origin()), law.Signer.Keys)
			} else if n == charter.Log {
				c.report(api.Finding{Kind: "key", Where: c.name(c.dir.signerKey(name, n)), Text: "there is no signer's key here", State: api.FindingWarning,
					Means: "unless an agent or another machine has one, nothing can be signed", Remedy: remedyRestore})
			}
			if n == charter.Log {
				c.key(c.dir.stampKey(name, n), string(law.Origin()), []crypto.PublicKey{law.Stamp})
			}
		}
		if !current {
			c.damaged("key", c.dir.logKeys(name, charter.Log), fs.ErrNotExist, meansKey, remedyRestore)
		}
	}
}

// evidence checks what proves that somebody said two things: each file's name is a sum of it.
func (c *fileCheck) evidence() {
	files, err := os.ReadDir(c.dir.evidence())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.damaged("evidence", c.dir.evidence(), err, "the proofs in it can't be shown", remedyRestore)
	}
	for _, f := range files {
		path := filepath.Join(c.dir.evidence(), f.Name())
		if strings.HasPrefix(f.Name(), ".") || f.IsDir() {
			continue
		}
		data, err := readSmall(path, maxEvidenceFile)
		if err == nil {
			sum := feed.LeafHash(data)
			if want := hex.EncodeToString(sum[:8]); want != f.Name() {
				err = errors.New("it isn't what its name is the sum of: it was changed")
			}
		}
		if err != nil {
			c.damaged("evidence", path, err, "it proves nothing any more", "restore it from a backup; other members have the same piece")
		}
	}
}
