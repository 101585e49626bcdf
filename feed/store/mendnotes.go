package store

import (
	"bytes"
	"errors"
	"slices"

	"hashfeed/feed"
)

// aside gives a file that isn't what its name says another name, for a person to look at.
func (m *mending) aside(f noteFile) error {
	if err := m.s.writeFile(m.s.notePath(m.h.name, "damaged-"+f.name), f.data); err != nil {
		return err
	}
	if err := m.s.disk.removeAll(m.s.notePath(m.h.name, f.name)); err != nil {
		return err
	}
	m.say("file %s isn't what it was, and is called damaged-%s now", f.name, f.name)
	return nil
}

// notes makes the two copies of each note agree, as far as one of them is right.
func (m *mending) notes(anchor feed.Anchor) error {
	files, err := m.s.noteFiles(m.h.name)
	if err != nil {
		return err
	}
	chain, err := m.charters(anchor, files)
	if err != nil || chain == nil {
		return err
	}
	if err := m.suspensions(chain, files); err != nil {
		return err
	}
	return m.roster(chain, files)
}

// read returns the notes of a kind that open, by number, and the keys of those that don't.
func (m *mending) read(k kind) (notes map[uint64][]byte, lost []key, err error) {
	keys, err := m.s.keys(key{feed: m.h.id, kind: k}, upToKind)
	if err != nil {
		return nil, nil, err
	}
	notes = map[uint64][]byte{}
	for _, k := range keys {
		note, err := m.s.get(k, ownerText(m.h.name))
		if errors.Is(err, ErrClosed) {
			return nil, nil, err
		}
		if err != nil {
			lost = append(lost, k)
			continue
		}
		notes[k.number] = note
	}
	return notes, lost, nil
}

// file writes the file of a note unless it is there and the same.
func (m *mending) file(files []noteFile, name string, note []byte) error {
	i := slices.IndexFunc(files, func(f noteFile) bool { return f.name == name })
	if i >= 0 && bytes.Equal(files[i].data, note) {
		return nil
	}
	m.say("file %s is written again from the database", name)
	return m.s.writeFile(m.s.notePath(m.h.name, name), note)
}

// charters returns the chain, nil if the two copies together don't make one.
func (m *mending) charters(anchor feed.Anchor, files []noteFile) (*feed.Chain, error) {
	stored, _, err := m.read(kindCharter)
	if err != nil {
		return nil, err
	}
	both := map[uint64][]byte{}
	for _, f := range files {
		if f.what == "charter" {
			both[f.version] = f.data
		}
	}
	for v, note := range stored {
		both[v] = note // what opened under its seal is what was stored
	}
	var chain *feed.Chain
	var versions []uint64
	for v := range both {
		versions = append(versions, v)
	}
	slices.Sort(versions)
	for _, v := range versions {
		next := chain
		var err error
		if chain == nil {
			next, err = feed.OpenChain(anchor, [][]byte{both[v]})
		} else {
			next, err = chain.Extend(both[v])
		}
		if err == nil && uint64(next.Newest().Version) == v {
			chain = next
		} else if _, ok := stored[v]; ok || chain == nil {
			return nil, nil
		} else {
			break // a file past the last charter that is no charter
		}
	}
	if chain == nil {
		return nil, nil
	}
	for i, c := range chain.All() {
		v, note := uint64(c.Version), chain.Notes()[i]
		if err := m.syncedFolder(); err != nil {
			return nil, err
		}
		if err := m.file(files, versionFile("charter", v), note); err != nil {
			return nil, err
		}
		if _, ok := stored[v]; !ok {
			if err := m.put(key{feed: m.h.id, kind: kindCharter, number: v}, ownerText(m.h.name), note); err != nil {
				return nil, err
			}
			m.say("charter %d is stored again from its file", v)
		}
	}
	for _, f := range files {
		if f.what == "charter" && f.version > uint64(chain.Newest().Version) {
			if err := m.aside(f); err != nil {
				return nil, err
			}
		}
	}
	return chain, nil
}

// syncedFolder makes sure that there is a folder for the notes.
func (m *mending) syncedFolder() error {
	if err := mkdir(m.s.notePath(m.h.name, "")); err != nil {
		return err
	}
	return m.s.syncNotes(m.h.name)
}

func (m *mending) suspensions(chain *feed.Chain, files []noteFile) error {
	stored, lost, err := m.read(kindSuspension)
	if err != nil {
		return err
	}
	held := map[string]bool{}
	for number, note := range stored {
		n, err := chain.OpenSuspension(note)
		if err != nil {
			lost = append(lost, key{feed: m.h.id, kind: kindSuspension, number: number})
			continue
		}
		held[suspensionFile(n)] = true
		if err := m.file(files, suspensionFile(n), note); err != nil {
			return err
		}
	}
	for _, k := range lost { // where its file is here, loading takes it over under another number
		if err := m.drop(k); err != nil {
			return err
		}
		m.say("suspension %d doesn't open: its file counts, if there is one", k.number)
	}
	for _, f := range files {
		if f.what != "suspension" || held[f.name] {
			continue
		}
		if n, err := chain.OpenSuspension(f.data); err != nil || suspensionFile(n) != f.name {
			if err := m.aside(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *mending) roster(chain *feed.Chain, files []noteFile) error {
	stored, lost, err := m.read(kindRoster)
	if err != nil {
		return err
	}
	var newest uint64
	for v := range stored {
		newest = max(newest, v)
	}
	good := func(f noteFile) bool {
		r, err := chain.OpenRoster(f.data)
		return err == nil && uint64(r.Version) == f.version
	}
	for _, k := range lost {
		i := slices.IndexFunc(files, func(f noteFile) bool { return f.what == "roster" && f.version == k.number && good(f) })
		if i < 0 {
			if err := m.drop(k); err != nil {
				return err
			}
			m.say("roster %d doesn't open, and has no file: the next one counts", k.number)
			continue
		}
		if err := m.put(k, ownerText(m.h.name), files[i].data); err != nil {
			return err
		}
		m.say("roster %d is stored again from its file", k.number)
		newest = max(newest, k.number)
		stored[k.number] = files[i].data
	}
	for _, f := range files {
		if f.what == "roster" && f.version > newest && !good(f) {
			if err := m.aside(f); err != nil {
				return err
			}
		}
	}
	if note, ok := stored[newest]; ok {
		return m.file(files, versionFile("roster", newest), note)
	}
	return nil
}
