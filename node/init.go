package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/feed/store"
)

// InitOptions say what node to make.
type InitOptions struct {
	Name       string // a domain that the publisher owns
	Role       string // hotline, liaison, host
	Harm       string
	Feed       string // short name of the own feed; default known, for a host local
	Contact    string // default "none"
	Passphrase []byte // nil: keys are unsealed
	Now        time.Time
}

// Made is what Init made.
type Made struct {
	Origin feed.Origin
	Anchor feed.Anchor
}

// feedName is the own feed's name, with the role's default.
func (o InitOptions) feedName() (feed.Name, error) {
	short := o.Feed
	switch {
	case short != "":
	case o.Role == RoleHost:
		short = "local"
	default:
		short = "known"
	}
	return feed.ParseName(o.Name + "/" + short)
}

// Check says what is wrong with the options.
func (o InitOptions) Check() error {
	if !feed.ValidName(o.Name) {
		return fmt.Errorf("name %q: must be a domain of a-z, 0-9, . and -, at most %d long", o.Name, feed.MaxName)
	}
	switch o.Role {
	case RoleHotline, RoleLiaison, RoleHost:
	default:
		return fmt.Errorf("role %q: must be hotline, liaison or host", o.Role)
	}
	if _, err := feed.ParseHarm(o.Harm); err != nil {
		return err
	}
	if _, err := o.feedName(); err != nil {
		return err
	}
	return checkContact(o.Contact)
}

// Init makes a node's directory. It is built beside and moved into place, so that a crash leaves nothing half-made; a
// directory that holds anything is refused.
func Init(dir string, o InitOptions) (Made, error) {
	if err := o.Check(); err != nil {
		return Made{}, err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		if _, err := os.Stat(layout(dir).config()); err == nil {
			return Made{}, fmt.Errorf("%s holds a node already", dir)
		}
		return Made{}, fmt.Errorf("%s is not empty", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Made{}, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return Made{}, err
	}
	building, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".init-")
	if err != nil {
		return Made{}, err
	}
	defer os.RemoveAll(building)
	made, err := build(layout(building), o)
	if err != nil {
		return Made{}, err
	}
	if err := os.Rename(building, dir); err != nil {
		return Made{}, err
	}
	return made, syncDir(filepath.Dir(dir))
}

func build(dir layout, o InitOptions) (made Made, err error) {
	if err := os.MkdirAll(dir.keys(), 0o700); err != nil {
		return made, err
	}
	if _, err := makeKeys(o.Passphrase,
		keyPlan{dir.nodeKey(), o.Name + "/node", crypto.TypeSignature},
		keyPlan{dir.witnessKey(), o.Name + "/witness", crypto.TypeCosignature},
		keyPlan{dir.journalKey(), o.Name + "/journal", crypto.TypeSignature}); err != nil {
		return made, err
	}
	seal, err := crypto.GenerateSealKey()
	if err != nil {
		return made, err
	}
	if err := seal.Save(dir.sealKey(), o.Name+"/store", o.Passphrase); err != nil {
		return made, err
	}
	if err := os.WriteFile(dir.config(), RenderConfig(o.Name, o.Role), 0o600); err != nil {
		return made, err
	}
	s, err := store.Create(string(dir), store.Options{Key: seal, Reserve: int64(DefaultConfig(o.Role).Limits.Reserve)})
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	name, err := o.feedName()
	if err != nil {
		return made, err
	}
	charter, err := createFeed(dir, s, newCharter(name, o.Harm, o.Contact, audienceOf(o.Role), o.Now), nil, o.Passphrase, o.Now.Unix())
	if err != nil {
		return made, err
	}
	return Made{charter.Origin(), charter.Anchor()}, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
