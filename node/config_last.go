package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
)

// The config is the operator's to edit, so it has no sum: a file that was cut off, or of which a byte was changed, may be a config as well,
// with a follow less. So the node keeps a copy of the last one that ran, and the log says which keys are others now.

// compareConfig logs which keys of the config differ from those of the last that ran.
func (n *Node) compareConfig() {
	last, err := LoadConfig(n.dir.lastConfig())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		n.log.Warn("the copy of the config that ran last is damaged", "err", err)
		return
	}
	if changed := changedKeys(last, *n.config.Load()); len(changed) > 0 {
		n.log.Warn("hashfeed.toml isn't the config that ran last", "keys", changed)
	}
}

// keepConfig makes the config the last that ran.
func (n *Node) keepConfig() {
	data, err := os.ReadFile(n.dir.config())
	if err == nil {
		err = os.MkdirAll(filepath.Dir(n.dir.lastConfig()), 0o700)
	}
	if err == nil {
		err = renameio.WriteFile(n.dir.lastConfig(), data, 0o600)
	}
	if err != nil {
		n.log.Warn("keep a copy of the config", "err", err)
	}
}

// changedKeys lists the keys, dotted, in which two configs differ.
func changedKeys(a, b Config) []string {
	values := func(c Config) map[string]string {
		data, err := json.Marshal(c)
		var v any
		if err == nil {
			err = json.Unmarshal(data, &v)
		}
		if err != nil {
			panic(err) // a Config is plain values
		}
		all := map[string]string{}
		flatten("", v, all)
		return all
	}
	one, two := values(a), values(b)
	var changed []string
	for k, v := range one {
		if w, ok := two[k]; !ok || w != v {
			changed = append(changed, k)
		}
	}
	for k := range two {
		if _, ok := one[k]; !ok {
			changed = append(changed, k)
		}
	}
	slices.Sort(changed)
	return changed
}

func flatten(at string, v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for k, w := range v {
			if at != "" {
				k = at + "." + k
			}
			flatten(k, w, into)
		}
	case []any:
		for i, w := range v {
			flatten(fmt.Sprintf("%s.%d", at, i), w, into)
		}
	default:
		into[at] = fmt.Sprint(v)
	}
}
