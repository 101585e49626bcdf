package node

import (
	"path/filepath"
	"strconv"
	"strings"

	"hashfeed/feed"
	"hashfeed/node/gossip"
)

// layout names the files under DIR. Nothing else may be stored there.
type layout string

func (d layout) config() string { return filepath.Join(string(d), "hashfeed.toml") }

// lastConfig is a copy of the config that ran last. It may be deleted, as all of index.
func (d layout) lastConfig() string { return filepath.Join(string(d), "index", "hashfeed.toml") }

// index is the folder of what is derived from the store; snapshot is the tables as they were some time ago.
func (d layout) index() string    { return filepath.Join(string(d), "index") }
func (d layout) snapshot() string { return filepath.Join(d.index(), "snapshot") }

func (d layout) socket() string   { return filepath.Join(string(d), "hashfeed.sock") }
func (d layout) journal() string  { return filepath.Join(string(d), "journal") }
func (d layout) evidence() string { return filepath.Join(string(d), "evidence") }
func (d layout) keys() string     { return filepath.Join(string(d), "keys") }

// known is the operator's own list of known-good files.
func (d layout) known() string { return filepath.Join(string(d), "knowngood") }

// bloom is a filter that the config names: an absolute path, or one below DIR.
func (d layout) bloom(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(string(d), path)
}

func (d layout) tokens() string  { return filepath.Join(d.keys(), "tokens") }
func (d layout) nodeKey() string { return filepath.Join(d.keys(), "node") }

// notify is the folder of what waits to be told, a queue a target; told is up to where that has come.
func (d layout) notify() string { return filepath.Join(string(d), "notify") }
func (d layout) told() string   { return filepath.Join(d.notify(), "told") }

// charter is a charter of a feed as it was signed; the store writes it.
func (d layout) charter(name feed.Name, version int) string {
	return filepath.Join(string(d), "charters", strings.ReplaceAll(string(name), "/", "_"), "charter-"+strconv.Itoa(version))
}

// sealKey opens the store; without it nothing in the store can be read.
func (d layout) sealKey() string    { return filepath.Join(d.keys(), "store") }
func (d layout) witnessKey() string { return filepath.Join(d.keys(), "witness") }
func (d layout) journalKey() string { return filepath.Join(d.keys(), "journal") }

// feedKeys is the folder of the keys of one own feed that outlive its logs: root and roster.
func (d layout) feedKeys(name feed.Name) string {
	return filepath.Join(d.keys(), "feeds", name.Short())
}
func (d layout) rootKey(name feed.Name) string   { return filepath.Join(d.feedKeys(name), "root") }
func (d layout) rosterKey(name feed.Name) string { return filepath.Join(d.feedKeys(name), "roster") }

// RootKeyFile is where a node in dir keeps the root key of an own feed, until its operator takes it elsewhere.
func RootKeyFile(dir string, name feed.Name) string { return layout(dir).rootKey(name) }

// members is who may read an own feed: names, contacts and agreements, which no roster tells.
func (d layout) members(name feed.Name) string { return filepath.Join(d.feedKeys(name), "members") }

// reports is the members' reports of an own feed that wait for a batch to go along with.
func (d layout) reports(name feed.Name) string {
	return filepath.Join(string(d), "pending", strings.ReplaceAll(string(name), "/", "_")+".reports")
}

// doubts is what this node has seen wrong with records: what matched too much, or a file that isn't the record's.
func (d layout) doubts() string { return filepath.Join(string(d), "doubts") }

// counts is what members have shared of a week of an own feed; shared is what this node shares with the publishers of others.
func (d layout) countsDir() string { return filepath.Join(string(d), "counts") }
func (d layout) counts(name feed.Name, week gossip.Week) string {
	return filepath.Join(d.countsDir(), strings.ReplaceAll(string(name), "/", "_")+"-"+week.String())
}
func (d layout) shared() string { return filepath.Join(string(d), "shared") }

// imports is the folder of lists that are being imported, or held, and of pastImports: what was taken from whom.
func (d layout) imports() string     { return filepath.Join(string(d), "imports") }
func (d layout) pastImports() string { return filepath.Join(d.imports(), "past") }

// taken is which items of an own feed imports have retracted.
func (d layout) taken(name feed.Name) string {
	return filepath.Join(d.imports(), "taken-"+strings.ReplaceAll(string(name), "/", "_"))
}

// logKeys is the folder of the keys of one log of an own feed: signer and stamp, fresh for each log.
func (d layout) logKeys(name feed.Name, log int) string {
	return filepath.Join(d.feedKeys(name), strconv.Itoa(log))
}
func (d layout) signerKey(name feed.Name, log int) string {
	return filepath.Join(d.logKeys(name, log), "signer")
}

// agentKey has, in place of the signer's key, the vkey of one that is kept in an ssh-agent.
func (d layout) agentKey(name feed.Name, log int) string {
	return filepath.Join(d.logKeys(name, log), "signer.vkey")
}

// signed is what this node's own signer has signed, where several must sign.
func (d layout) signed(name feed.Name, log int) string {
	return filepath.Join(d.logKeys(name, log), "signer.signed")
}

// withdrawn is which batches of a log its signers have given their word never to sign.
func (d layout) withdrawn(o feed.Origin) string { return d.pending(o) + ".withdrawn" }

// pending is the batch of a log that awaits approval, sealed.
func (d layout) pending(o feed.Origin) string {
	return filepath.Join(string(d), "pending", strings.ReplaceAll(string(o), "/", "_"))
}

func (d layout) stampKey(name feed.Name, log int) string {
	return filepath.Join(d.logKeys(name, log), "stamp")
}
