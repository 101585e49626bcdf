package knowngood

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"hashfeed/feed"
)

//go:embed builtin.bin
var builtinFile []byte

//go:embed sources.tsv
var builtinSources string

// Builtin is the list that is part of the program.
var Builtin = sync.OnceValue(func() *List {
	l, err := ParseList(builtinFile, builtinSources)
	if err != nil {
		panic("knowngood: the built-in list: " + err.Error()) // the program was built wrong, and TestBuiltin says so
	}
	return l
})

const (
	listMagic   = "hashfeed-knowngood/v1\n"
	prefixBytes = 10 // of an exact hash: see the package's doc
	exactEntry  = prefixBytes + 2
	pdqEntry    = 32 + 1 + 2
)

// List is a list of files in the form of the package's doc. It is safe for concurrent use.
type List struct {
	exact   [3][]byte // entries of md5, sha1, sha256
	pdqs    []byte
	sources []string
	index   func() *near // of the pdqs that have neighbours: made when it is first asked for
}

// File is what a List is made of.
type File struct {
	Hashes []feed.Hash
	Source uint16
}

var errList = errors.New("malformed list of known good files")

// ParseList reads a list in place: data must not be changed afterwards.
func ParseList(data []byte, sources string) (*List, error) {
	rest, ok := bytes.CutPrefix(data, []byte(listMagic))
	if !ok || len(rest) < 16 {
		return nil, errList
	}
	l := &List{}
	var counts [4]int
	for i := range counts {
		counts[i] = int(binary.BigEndian.Uint32(rest[4*i:]))
	}
	rest = rest[16:]
	if want := (counts[0]+counts[1]+counts[2])*exactEntry + counts[3]*pdqEntry; len(rest) != want {
		return nil, fmt.Errorf("%w: %d bytes of entries, want %d", errList, len(rest), want)
	}
	for i := range l.exact {
		size := counts[i] * exactEntry
		l.exact[i], rest = rest[:size], rest[size:]
	}
	l.pdqs = rest
	for _, line := range strings.Split(strings.TrimSuffix(sources, "\n"), "\n") {
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("%w: source %.80q", errList, line)
		}
		l.sources = append(l.sources, sourceText(f[0], f[1], f[2]))
	}
	l.index = sync.OnceValue(func() *near {
		var values []string
		var places []int
		for i := range l.pdqCount() {
			if value, quality, _ := l.pdqAt(i); hasNeighbours(value, quality) {
				values, places = append(values, value), append(places, i)
			}
		}
		return newNear(values, places)
	})
	return l, nil
}

// sourceText names a source to a person.
func sourceText(kind, name, version string) string {
	switch kind {
	case "deb":
		return fmt.Sprintf("Debian's %s %s", name, version)
	case "npm":
		return fmt.Sprintf("npm's %s %s", name, version)
	}
	return name
}

// AppendList appends the list of some files to b.
func AppendList(b []byte, files []File) []byte {
	var entries [4][]string
	for _, f := range files {
		source := binary.BigEndian.AppendUint16(nil, f.Source)
		for _, h := range f.Hashes {
			switch {
			case h.Alg.Exact():
				entries[h.Alg-feed.MD5] = append(entries[h.Alg-feed.MD5], h.Value[:prefixBytes]+string(source))
			case h.Alg.Graded():
				entries[3] = append(entries[3], h.Value+string([]byte{h.Quality})+string(source))
			}
		}
	}
	b = append(b, listMagic...)
	for i := range entries {
		key := prefixBytes
		if i == 3 {
			key = 32
		}
		// Of equal ones the first source stays, as packages.txt has them; of equal pdqs the highest quality.
		slices.SortFunc(entries[i], func(a, b string) int {
			if c := strings.Compare(a[:key], b[:key]); c != 0 {
				return c
			}
			if i == 3 && a[32] != b[32] {
				return int(b[32]) - int(a[32])
			}
			return strings.Compare(a, b)
		})
		entries[i] = slices.CompactFunc(entries[i], func(a, b string) bool { return a[:key] == b[:key] })
		b = binary.BigEndian.AppendUint32(b, uint32(len(entries[i])))
	}
	for _, list := range entries {
		for _, e := range list {
			b = append(b, e...)
		}
	}
	return b
}

// Find tells whether the list has a hash, or a picture within so many bits of it, and which software that file comes with.
func (l *List) Find(h feed.Hash, within int) (source string, ok bool) {
	switch {
	case len(h.Value) != h.Alg.Size():
		return "", false
	case h.Alg.Exact():
		entries := l.exact[h.Alg-feed.MD5]
		i := sort.Search(len(entries)/exactEntry, func(i int) bool {
			return string(entries[i*exactEntry:i*exactEntry+prefixBytes]) >= h.Value[:prefixBytes]
		}) * exactEntry
		if i < len(entries) && string(entries[i:i+prefixBytes]) == h.Value[:prefixBytes] {
			return l.source(entries[i+prefixBytes:]), true
		}
	case h.Alg.Graded():
		i := sort.Search(l.pdqCount(), func(i int) bool {
			return string(l.pdqs[i*pdqEntry:i*pdqEntry+32]) >= h.Value
		})
		if i < l.pdqCount() {
			if value, _, source := l.pdqAt(i); value == h.Value {
				return source, true
			}
		}
		if within > 0 && hasNeighbours(h.Value, h.Quality) {
			if i, ok := l.index().find(h.Value, within); ok {
				_, _, source := l.pdqAt(i)
				return source, true
			}
		}
	}
	return "", false
}

// Len is how many distinct files the list has, by their sha256, and how many pictures by their look.
func (l *List) Len() (files, pictures int) {
	return len(l.exact[feed.SHA256-feed.MD5]) / exactEntry, l.pdqCount()
}

func (l *List) pdqCount() int { return len(l.pdqs) / pdqEntry }

func (l *List) pdqAt(i int) (value string, quality uint8, source string) {
	e := l.pdqs[i*pdqEntry : (i+1)*pdqEntry]
	return string(e[:32]), e[32], l.source(e[33:])
}

func (l *List) source(b []byte) string {
	if n := int(binary.BigEndian.Uint16(b)); n < len(l.sources) {
		return l.sources[n]
	}
	return "a source without a name" // TestBuiltin finds none
}
