package feed

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hashfeed/crypto"
)

// A Harm says what a feed lists. There is one a feed, never "other".
type Harm string

// The harms.
const (
	CSAM Harm = "csam" // child sexual abuse material
	NCII Harm = "ncii" // intimate images shared without consent
	TVEC Harm = "tvec" // terrorist and violent extremist content
)

// ParseHarm parses the name of a harm.
func ParseHarm(s string) (Harm, error) {
	switch h := Harm(s); h {
	case CSAM, NCII, TVEC:
		return h, nil
	}
	return "", errHarm
}

// A Use says how far followers may go on a feed's word.
type Use string

// The uses.
const (
	UseMatch  Use = "match"  // may block, if the follower's policy says so
	UseReview Use = "review" // nothing of this feed may ever block
)

// audiences are the words of a charter's audience line, in their order.
var audiences = []string{"police", "hotlines", "hosts"}

// A KeyGroup is a threshold: K of Keys must sign. 2K > len(Keys), so that no two disjoint groups can both speak for a feed.
type KeyGroup struct {
	K    int
	Keys []crypto.PublicKey // 1 to MaxGroup, distinct as bare keys
}

// A Cut is where a closed log ends: nothing at or past Size counts. Root is the tree's at that size.
type Cut struct {
	Size uint64
	Root Digest
}

// A Charter is the law of a feed: what it lists, whom it is for, and whose signatures count. Its text is a line each, in this order,
// with single spaces (WIRE §4):
//
//	hashfeed-charter/v1
//	feed eokm.example/known
//	version 2
//	expires 2027-11-23T00:00:00Z
//	harm csam
//	use match
//	audience police,hotlines,hosts
//	contact desk@eokm.example
//	answer 2d
//	maxage 6h 72h
//	root 2 eokm.example/known/root+… eokm.example/known/root+… eokm.example/known/root+…
//	closed 1 2048 nIR0nDKXNUYh…=
//	log 2
//	signer 1 eokm.example/known/2+…
//	stamp eokm.example/known/2+…
//	roster eokm.example/known/roster+…
//	quorum 2 liaison.example/witness+… host.example/witness+… other.example/witness+…
//	x-note anything
//
// A Charter by itself is only a well-formed text; who signed it a Chain tells.
type Charter struct {
	Feed     Name
	Version  int   // 1 to MaxCharters
	Expires  int64 // Unix seconds; afterwards it verifies its successor, and new additions don't count
	Harm     Harm
	Use      Use
	Audience []string // of "police", "hotlines", "hosts", in that order; empty: "none"
	Contact  string   // whom a host calls; "none" is allowed
	Answer   Term     // how soon disputes are answered
	SoftAge  Term     // age of the newest head past which answers say stale
	HardAge  Term     // age past which an addition may have been retracted without our knowing
	Root     KeyGroup
	Closed   []Cut // of logs 1, 2, …
	Log      int   // the current log: len(Closed) + 1
	Signer   KeyGroup
	Stamp    crypto.PublicKey
	Roster   *crypto.PublicKey // nil: nobody but the publisher reads it
	Quorum   *KeyGroup         // nil: none, additions count at once
	Extra    []string          // "x-name value" lines, which are ignored
}

var (
	errCharter = errors.New("charter")
	errHarm    = errors.New("harm: not csam, ncii or tvec")
	errLine    = errors.New("not the line that stands here")
	errTwice   = errors.New("one key stands there twice")
	errTwoKeys = errors.New("two keys have one name and id")
	errGroup   = errors.New("not k of n keys with k <= n <= 7 and 2k > n")
	errRole    = errors.New("key has the wrong name or type for its line")
)

const charterMagic = "hashfeed-charter/v1"

// ParseCharter parses the text of a charter. What it accepts, Text writes again byte for byte.
func ParseCharter(text []byte) (Charter, error) {
	if len(text) > MaxCharter {
		return Charter{}, fmt.Errorf("%w: longer than %d bytes", errCharter, MaxCharter)
	}
	c, err := parseCharter(text)
	if err != nil {
		return Charter{}, fmt.Errorf("%w: %w", errCharter, err)
	}
	// Every reader below is strict; this makes sure that none of them was too lenient: what is signed has one reading.
	if c.text() != string(text) {
		return Charter{}, fmt.Errorf("%w: not in its one spelling", errCharter)
	}
	return c, nil
}

// lineReader takes a text apart, line by line. After the first line that isn't what was asked for, err stays.
type lineReader struct {
	rest string
	err  error
}

// peek reports whether the next line begins with prefix.
func (r *lineReader) peek(prefix string) bool {
	return r.err == nil && strings.HasPrefix(r.rest, prefix)
}

// next reads a line that begins with prefix and returns what follows it.
func (r *lineReader) next(prefix string) string {
	line, rest, ok := strings.Cut(r.rest, "\n")
	value, ok2 := strings.CutPrefix(line, prefix)
	if r.err == nil && (!ok || !ok2) {
		r.err = fmt.Errorf("%w: want %q", errLine, strings.TrimSpace(prefix))
	}
	if r.err != nil {
		return ""
	}
	r.rest = rest
	return value
}

// fail keeps the first error, with the line it is about.
func (r *lineReader) fail(line string, err error) {
	if r.err == nil && err != nil {
		r.err = fmt.Errorf("%s line: %w", line, err)
	}
}

// must fails with err unless ok.
func (r *lineReader) must(ok bool, line string, err error) {
	if !ok {
		r.fail(line, err)
	}
}

// end fails if anything is left.
func (r *lineReader) end() {
	if r.err == nil && r.rest != "" {
		r.err = fmt.Errorf("%w: lines after the last", errLine)
	}
}

func parseCharter(text []byte) (c Charter, err error) {
	r := &lineReader{rest: string(text)}
	r.must(r.next(charterMagic) == "", "first", errLine)
	c.Feed, err = ParseName(r.next("feed "))
	r.fail("feed", err)
	var ok bool
	c.Version, ok = parseNum(r.next("version "))
	r.must(ok, "version", errLine)
	c.Expires, err = parseDate(r.next("expires "))
	r.fail("expires", err)
	c.Harm, err = ParseHarm(r.next("harm "))
	r.fail("harm", err)
	c.Use = Use(r.next("use "))
	r.must(c.Use == UseMatch || c.Use == UseReview, "use", errLine)
	if aud := r.next("audience "); aud != "none" {
		c.Audience = strings.Split(aud, ",")
		r.must(validAudience(c.Audience), "audience", errLine)
	}
	c.Contact = r.next("contact ")
	r.must(printable(c.Contact, maxContact), "contact", errLine)
	c.Answer, err = ParseTerm(r.next("answer "))
	r.fail("answer", err)
	soft, hard, _ := strings.Cut(r.next("maxage "), " ")
	c.SoftAge, err = ParseTerm(soft)
	r.fail("maxage", err)
	c.HardAge, err = ParseTerm(hard)
	r.fail("maxage", err)
	c.Root, err = parseGroup(r.next("root "))
	r.fail("root", err)
	for r.peek("closed ") {
		cut, err := parseCut(r.next("closed "), len(c.Closed)+1)
		r.fail("closed", err)
		c.Closed = append(c.Closed, cut)
	}
	c.Log, ok = parseNum(r.next("log "))
	r.must(ok, "log", errLine)
	c.Signer, err = parseGroup(r.next("signer "))
	r.fail("signer", err)
	c.Stamp, err = crypto.ParsePublicKey(r.next("stamp "))
	r.fail("stamp", err)
	if r.peek("roster ") {
		k, err := crypto.ParsePublicKey(r.next("roster "))
		r.fail("roster", err)
		c.Roster = &k
	}
	if quorum := r.next("quorum "); quorum != "none" {
		g, err := parseGroup(quorum)
		r.fail("quorum", err)
		c.Quorum = &g
	}
	for r.peek("x-") {
		c.Extra = append(c.Extra, r.next(""))
	}
	r.end()
	if r.err != nil {
		return Charter{}, r.err
	}
	return c, c.check()
}

// parseGroup reads "k vkey vkey …".
func parseGroup(s string) (g KeyGroup, err error) {
	k, keys, _ := strings.Cut(s, " ")
	var ok bool
	if g.K, ok = parseNum(k); !ok || strings.Count(keys, " ") >= MaxGroup {
		return KeyGroup{}, errGroup
	}
	for vkey := range strings.SplitSeq(keys, " ") {
		key, err := crypto.ParsePublicKey(vkey)
		if err != nil {
			return KeyGroup{}, err
		}
		g.Keys = append(g.Keys, key)
	}
	return g, nil
}

// parseCut reads "log size b64root" of the given log. That the root of size 0 is the empty tree's isn't asked here: a cut that no
// checkpoint can have had shows when the log is compared with it.
func parseCut(s string, log int) (c Cut, err error) {
	f := strings.Split(s, " ")
	if len(f) != 3 || f[0] != strconv.Itoa(log) {
		return Cut{}, errLine
	}
	var ok bool
	if c.Size, ok = parseNumber(f[1], 0, MaxSize); !ok {
		return Cut{}, errLine
	}
	c.Root, err = parseRoot(f[2])
	return c, err
}

var errRoot = errors.New("root: not 32 bytes in canonical base64")

// parseRoot reads 32 bytes in canonical base64.
func parseRoot(s string) (d Digest, err error) {
	if len(s) != base64.StdEncoding.EncodedLen(len(d)) {
		return Digest{}, errRoot
	}
	b, err := decodeBase64(s)
	if err != nil || len(b) != len(d) {
		return Digest{}, errRoot
	}
	return Digest(b), nil
}

var errBase64 = errors.New("base64 isn't canonical")

// decodeBase64 decodes standard base64 with padding. Encoding again is what makes it strict: the decoder skips newlines, and stray bits.
func decodeBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return nil, errBase64
	}
	return b, nil
}

func encodeBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// printable reports whether s is 1 to most characters of %x20-7E.
func printable(s string, most int) bool {
	return 1 <= len(s) && len(s) <= most && strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) < 0
}

// validAudience reports whether the words are known, in order and not repeated.
func validAudience(words []string) bool {
	last := -1
	for _, w := range words {
		i := slices.Index(audiences, w)
		if i <= last {
			return false
		}
		last = i
	}
	return len(words) > 0
}

func validExtra(line string) bool {
	name, value, ok := strings.Cut(line, " ")
	name, ok2 := strings.CutPrefix(name, "x-")
	return ok && ok2 && 1 <= len(name) && len(name) <= maxExtraName && printable(value, maxExtraValue) &&
		strings.IndexFunc(name, func(r rune) bool { return r < 'a' || r > 'z' }) < 0
}

// Text returns the text of a charter, or an error where ParseCharter would refuse it.
func (c Charter) Text() ([]byte, error) {
	text := []byte(c.text())
	if _, err := ParseCharter(text); err != nil {
		return nil, err
	}
	return text, nil
}

func (c Charter) text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(charterMagic)
	line("feed %s", c.Feed)
	line("version %d", c.Version)
	line("expires %s", formatDate(c.Expires))
	line("harm %s", c.Harm)
	line("use %s", c.Use)
	if len(c.Audience) == 0 {
		line("audience none")
	} else {
		line("audience %s", strings.Join(c.Audience, ","))
	}
	line("contact %s", c.Contact)
	line("answer %s", c.Answer)
	line("maxage %s %s", c.SoftAge, c.HardAge)
	line("root %s", c.Root)
	for i, cut := range c.Closed {
		line("closed %d %d %s", i+1, cut.Size, encodeBase64(cut.Root[:]))
	}
	line("log %d", c.Log)
	line("signer %s", c.Signer)
	line("stamp %s", c.Stamp)
	if c.Roster != nil {
		line("roster %s", *c.Roster)
	}
	if c.Quorum == nil {
		line("quorum none")
	} else {
		line("quorum %s", *c.Quorum)
	}
	for _, extra := range c.Extra {
		line("%s", extra)
	}
	return b.String()
}

// String returns "k vkey vkey …", as it stands in a charter.
func (g KeyGroup) String() string {
	s := strconv.Itoa(g.K)
	for _, k := range g.Keys {
		s += " " + k.String()
	}
	return s
}

// check says what no single line tells.
func (c *Charter) check() error {
	if c.SoftAge.Duration() > c.HardAge.Duration() {
		return errors.New("maxage line: soft is longer than hard")
	}
	if c.Log != len(c.Closed)+1 {
		return fmt.Errorf("log line: %d, want the number of closed ones + 1", c.Log)
	}
	for _, x := range c.Extra {
		if !validExtra(x) {
			return fmt.Errorf("x- line: %w", errLine)
		}
	}
	named := func(want string) func(string) bool { return func(name string) bool { return name == want } }
	// A node's name is a `name`: nothing but a name stands before /witness.
	witness := func(name string) bool {
		node, ok := strings.CutSuffix(name, "/witness")
		return ok && ValidName(node)
	}
	origin := string(c.Origin())
	roles := []struct {
		line  string
		group KeyGroup
		name  func(string) bool
		typ   crypto.Type
	}{
		{"root", c.Root, named(c.rootName()), crypto.TypeSignature},
		{"signer", c.Signer, named(origin), crypto.TypeSignature},
		{"stamp", KeyGroup{1, []crypto.PublicKey{c.Stamp}}, named(origin), crypto.TypeCosignature},
		{"roster", KeyGroup{1, nil}, named(string(c.Feed) + "/roster"), crypto.TypeSignature},
		{"quorum", KeyGroup{1, nil}, witness, crypto.TypeCosignature},
	}
	if c.Roster != nil {
		roles[3].group.Keys = []crypto.PublicKey{*c.Roster}
	}
	if c.Quorum != nil {
		roles[4].group = *c.Quorum
	}
	type nameID struct {
		name string
		id   uint32
	}
	jobs := make(map[[32]byte]string)
	ids := make(map[nameID]bool)
	for _, role := range roles {
		k, n := role.group.K, len(role.group.Keys)
		absent := n == 0 && (role.line == "roster" || role.line == "quorum" && c.Quorum == nil)
		if !absent && (k < 1 || k > n || n > MaxGroup || 2*k <= n) {
			return fmt.Errorf("%s line: %w: %d of %d", role.line, errGroup, k, n)
		}
		for _, key := range role.group.Keys {
			if key.Type != role.typ || !role.name(key.Name) {
				return fmt.Errorf("%s line: %w: %q", role.line, errRole, key.Name)
			}
			// Of one group or of two: a threshold is about persons, and a key has one job.
			if job, ok := jobs[key.Key]; ok {
				return fmt.Errorf("%s line: %w: as %s too", role.line, errTwice, job)
			}
			jobs[key.Key] = role.line
			id := nameID{key.Name, key.ID()}
			if ids[id] {
				return fmt.Errorf("%s line: %w: %q", role.line, errTwoKeys, key.Name)
			}
			ids[id] = true
		}
	}
	return nil
}

func (c *Charter) rootName() string { return string(c.Feed) + "/root" }

// Anchor returns the SHA-256 of the charter's text: what a follower pins. Of a charter that has no valid text it means nothing.
func (c Charter) Anchor() Anchor { return sha256.Sum256([]byte(c.text())) }

// Origin returns the current log.
func (c Charter) Origin() Origin { return c.Feed.Log(c.Log) }

// Expired reports whether the charter has expired at now, in Unix seconds. In its last second it hasn't.
func (c Charter) Expired(now int64) bool { return now > c.Expires }

// Rules returns what the state of a feed needs of its newest charter.
func (c Charter) Rules() Rules {
	cuts := make([]uint64, len(c.Closed))
	for i, cut := range c.Closed {
		cuts[i] = cut.Size
	}
	return Rules{Cuts: cuts, Review: c.Use == UseReview, Log: c.Log}
}

// clone returns a copy that shares no memory.
func (c Charter) clone() Charter {
	c.Audience = slices.Clone(c.Audience)
	c.Root.Keys = slices.Clone(c.Root.Keys)
	c.Closed = slices.Clone(c.Closed)
	c.Signer.Keys = slices.Clone(c.Signer.Keys)
	c.Extra = slices.Clone(c.Extra)
	if c.Roster != nil {
		k := *c.Roster
		c.Roster = &k
	}
	if c.Quorum != nil {
		c.Quorum = &KeyGroup{c.Quorum.K, slices.Clone(c.Quorum.Keys)}
	}
	return c
}

// keys returns all keys of the charter, whatever their job.
func (c *Charter) keys() []crypto.PublicKey {
	keys := slices.Concat(c.Root.Keys, c.Signer.Keys, []crypto.PublicKey{c.Stamp})
	if c.Roster != nil {
		keys = append(keys, *c.Roster)
	}
	if c.Quorum != nil {
		keys = append(keys, c.Quorum.Keys...)
	}
	return keys
}

// met reports whether K of the group are among the signatures. Bare keys count, so that one key under two names is one signer.
func (g KeyGroup) met(by []crypto.Signature) bool { return g.count(by) >= g.K }

func (g KeyGroup) count(by []crypto.Signature) int {
	n := 0
	for _, k := range g.Keys {
		if slices.ContainsFunc(by, func(s crypto.Signature) bool { return s.Key == k }) {
			n++
		}
	}
	return n
}
