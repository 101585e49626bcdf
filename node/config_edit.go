package node

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/google/renameio/v2"
)

// The edits of a config file touch only their own [[follow]] or [[peer]] block: what people wrote around it, comments included, stays
// byte for byte. A block reaches from its header to its last key; comments after that belong to what follows.

var errNoBlock = errors.New("there is no such block")

// AppendFollow adds a [[follow]] block for a feed that isn't followed yet.
func AppendFollow(path string, f Follow) error {
	return editConfig(path, func(text string) (string, error) {
		if _, _, err := findBlock(text, "follow", "feed", f.Feed); err == nil {
			return "", fmt.Errorf("%s is followed already", f.Feed)
		}
		return appendBlock(text, "follow", f.fields()), nil
	})
}

// ReplaceFollow changes the block of a feed that is followed, to pin it anew; keys that f leaves empty keep their value.
func ReplaceFollow(path string, f Follow) error {
	return editConfig(path, func(text string) (string, error) {
		return setBlock(text, "follow", "feed", f.Feed, f.fields())
	})
}

// RemoveFollow removes the block of a feed.
func RemoveFollow(path, name string) error {
	return editConfig(path, func(text string) (string, error) { return removeBlock(text, "follow", "feed", name) })
}

// SetPeer adds a [[peer]] block, or changes the one that a peer has.
func SetPeer(path string, p Peer) error {
	return editConfig(path, func(text string) (string, error) {
		changed, err := setBlock(text, "peer", "id", p.ID, p.fields())
		if errors.Is(err, errNoBlock) {
			return appendBlock(text, "peer", p.fields()), nil
		}
		return changed, err
	})
}

// RemovePeer removes the block of a peer.
func RemovePeer(path, id string) error {
	return editConfig(path, func(text string) (string, error) { return removeBlock(text, "peer", "id", id) })
}

// editConfig replaces the file by what edit makes of it, at once or not at all. A result that doesn't load is not written. Of two edits at
// one time one may be lost; neither is ever half there.
func editConfig(path string, edit func(string) (string, error)) error {
	text, err := readConfig(path)
	if err != nil {
		return err
	}
	// What doesn't parse now must not be guessed at: a header might stand inside a string that nobody closed.
	if _, err := parseConfig(path, text); err != nil {
		return err
	}
	changed, err := edit(string(text))
	if err != nil {
		return fmt.Errorf("edit %s: %w", path, err)
	}
	if _, err := parseConfig(path, []byte(changed)); err != nil {
		return fmt.Errorf("edit: the result would be wrong, nothing is changed: %w", err)
	}
	// A link is followed, so that a config kept elsewhere stays there.
	if err := renameio.WriteFile(resolve(path), []byte(changed), 0o600, renameio.WithExistingPermissions()); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	return nil
}

// resolve returns what a symbolic link points at, or path itself.
func resolve(path string) string {
	if target, err := os.Readlink(path); err == nil {
		if strings.HasPrefix(target, "/") {
			return target
		}
		return path[:strings.LastIndex(path, "/")+1] + target
	}
	return path
}

// field is a key and its value as TOML writes it.
type field struct{ key, value string }

// fields returns what f says, leaving out what is empty.
func (f Follow) fields() []field {
	fields := textFields("feed", f.Feed, "anchor", f.Anchor, "peer", f.Peer)
	fields = append(fields, listField("addresses", f.Addresses)...)
	fields = append(fields, textFields("harm", f.Harm)...)
	fields = append(fields, listField("verdicts", f.Verdicts)...)
	fields = append(fields, textFields("action", string(f.Action), "action_near", string(f.ActionNear), "action_weak", string(f.ActionWeak))...)
	if f.MaxDistance != 0 {
		fields = append(fields, field{"max_distance", fmt.Sprint(f.MaxDistance)})
	}
	if f.MaxSquare != 0 {
		fields = append(fields, field{"max_distance_photodna", fmt.Sprint(f.MaxSquare)})
	}
	fields = append(fields, textFields("on_stale", string(f.OnStale))...)
	if f.Required {
		fields = append(fields, field{"required", "true"})
	}
	if f.ShareCounts {
		fields = append(fields, field{"share_counts", "true"})
	}
	return fields
}

func (p Peer) fields() []field {
	return append(textFields("id", p.ID, "name", p.Name), listField("addresses", p.Addresses)...)
}

// textFields returns fields of key and value in turn, without those of no value.
func textFields(pairs ...string) (fields []field) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fields = append(fields, field{pairs[i], quote(pairs[i+1])})
		}
	}
	return fields
}

func listField(key string, values []string) []field {
	if len(values) == 0 {
		return nil
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = quote(v)
	}
	return []field{{key, "[" + strings.Join(quoted, ", ") + "]"}}
}

// quote writes a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// findBlock returns the lines, from 0 and without the second, of the [[table]] block whose key has the value, and what begins on them.
func findBlock(text, table, key, value string) (inside []configLine, span [2]int, err error) {
	all := scanConfig(text)
	lines := strings.Split(text, "\n")
	for i := 0; i < len(all); i++ {
		if !all[i].header() || !all[i].array || !slices.Equal(all[i].table, []string{table}) {
			continue
		}
		end := i + 1
		for end < len(all) && !all[end].header() {
			end++
		}
		span = [2]int{all[i].number - 1, all[end-1].end}
		var doc map[string][]map[string]any
		if _, err := toml.Decode(strings.Join(lines[span[0]:span[1]], "\n"), &doc); err == nil &&
			len(doc[table]) == 1 && doc[table][0][key] == value {
			return all[i+1 : end], span, nil
		}
		i = end - 1
	}
	return nil, span, fmt.Errorf("[[%s]] %s = %q: %w", table, key, value, errNoBlock)
}

func appendBlock(text, table string, fields []field) string {
	var b strings.Builder
	b.WriteString(text)
	if text != "" && !strings.HasSuffix(text, "\n") {
		b.WriteByte('\n')
	}
	if text != "" {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "[[%s]]\n", table)
	for _, f := range fields {
		fmt.Fprintf(&b, "%s = %s\n", f.key, f.value)
	}
	return b.String()
}

// setBlock gives the block's keys new values, where they stand, and adds those that it hasn't got after its last one.
func setBlock(text, table, key, value string, fields []field) (string, error) {
	inside, span, err := findBlock(text, table, key, value)
	if err != nil {
		return "", err
	}
	lines := strings.Split(text, "\n")
	var out []string
	next := span[0]
	rest := slices.Clone(fields)
	for _, l := range inside {
		out = append(out, lines[next:l.number-1]...)
		next = l.end
		i := slices.IndexFunc(rest, func(f field) bool { return slices.Equal(l.key, []string{f.key}) })
		if i < 0 {
			out = append(out, lines[l.number-1:l.end]...)
			continue
		}
		changed := rest[i].key + " = " + rest[i].value
		rest = slices.Delete(rest, i, i+1)
		// The comment at the end of the line stays.
		_, old := splitKey(lines[l.number-1])
		if l.number == l.end {
			if at := commentAt(old); at >= 0 {
				changed += " " + old[at:]
			}
		}
		out = append(out, changed)
	}
	out = append(out, lines[next:span[1]]...)
	for _, f := range rest {
		out = append(out, f.key+" = "+f.value)
	}
	return strings.Join(slices.Concat(lines[:span[0]], out, lines[span[1]:]), "\n"), nil
}

// commentAt returns where in a one-line value the comment begins, -1 if there is none. The "#" that opens it is the first before which
// the value is whole.
func commentAt(value string) int {
	for i := range len(value) {
		if value[i] == '#' {
			if _, err := toml.Decode("v = "+value[:i], new(map[string]any)); err == nil {
				return i
			}
		}
	}
	return -1
}

func removeBlock(text, table, key, value string) (string, error) {
	_, span, err := findBlock(text, table, key, value)
	if err != nil {
		return "", err
	}
	lines := strings.Split(text, "\n")
	// One of the empty lines around it goes with it.
	if span[0] > 0 && strings.TrimSpace(lines[span[0]-1]) == "" && (span[1] >= len(lines) || strings.TrimSpace(lines[span[1]]) == "") {
		span[0]--
	}
	return strings.Join(slices.Delete(lines, span[0], span[1]), "\n"), nil
}

// RenderConfig returns the file that init writes. It sets only keys of the top level and shows the rest as comments, so that a table may be
// appended.
func RenderConfig(name, role string) []byte {
	c := DefaultConfig(role)
	var b bytes.Buffer
	fmt.Fprintf(&b, `# The config of a hashfeed node. Every key but name and role may be left out; what stands here is the default.
# An unknown key stops the start. hashfeed config check looks at this file, a running daemon reads it again on SIGHUP.

name = %s   # a domain of ours; our feeds are named after it, so it can't be changed later
role = %s   # hotline, liaison or host

# Where peers reach us: TCP (with TLS 1.3) and QUIC. [] only dials out.
%s

# The HTTP API, in plain HTTP: on any other than a loopback address put a proxy with TLS before it.
api = %s

log_level = "info"   # debug, info, warn, error

# "hidden" announces no address and dials only the publishers of our feeds.
presence = "open"

`, quote(name), quote(role), listenText(c.Listen), quote(c.API))
	memory, _ := c.Limits.Memory.MarshalText()
	reserve, _ := c.Limits.Reserve.MarshalText()
	scan, _ := c.Limits.ScanBytes.MarshalText()
	decode, _ := c.Limits.DecodeBytes.MarshalText()
	fmt.Fprintf(&b, `# api_hosts = []   # more names that the API may be asked under, such as a proxy's

# [limits]
# memory = %q        # where the runtime begins to save; match tables take some 100 bytes a listed hash
# reserve = %q     # free space below which nothing is stored any more; a full disk kills the process
# connections = %d       # peers at once
# streams = %d         # of all peers together
# requests = %d         # HTTP requests at once
# scan = %q        # the largest file that is hashed
# decode = %q       # the largest file that is decoded as an image
# pixels = %d    # the largest image that is decoded, width times height

# [own]                    # matches of our own feeds: block, review or log
# action = "block"         # equal sha256, photodna or pdq
# action_near = "block"    # a pdq or photodna neighbour
# action_weak = "block"    # md5 or sha1 alone
# max_distance_photodna = 0  # of a photodna neighbour, a sum of squares: 0 only equal ones, 40000 as others do
# take_counts = false      # true: members may share what came of matches of our feeds, and feed counts shows it

# [policy]
# min_publishers = 1       # how many must list or endorse the same before more than review is done
# breaker = 100            # a record that matches more different uploads within an hour is held here; 0: none is

# [knowngood]              # beside the built-in list and what hashfeed knowngood add added
# bloom = []               # Bloom filter files in DCSO's format, such as CIRCL's hashlookup; replaced by renaming, then SIGHUP
# max_distance = 31        # of a known-good picture's neighbour by pdq, in bits; at most 31

# [journal]                # what this node decided, in DIR/journal; how many days it is kept
# block = 183              # six months; ask a lawyer before you change it
# review = 183
# log = 183
# old_uploads = false      # true keeps a line of each upload that matched nothing, so that journal affected finds it later
# uploads = 30             # how long that

# [monitor]                # public audit of our feeds: no token, no hash, off without listen
# listen = "127.0.0.1:8481"
# feeds = []               # their short names; default those that have readers

# hashfeed peer add writes:
# [[peer]]
# id = "12D3…"
# name = "liaison.example"
# addresses = ["/dns4/liaison.example/tcp/4480"]

# [[source]]               # of lists that import takes; holds whatever an import asks for
# name = "iwf"             # as import --source names it
# max_verdict = "national" # the gravest that its rows may carry; default baseline: what the import says
# max_adds_per_day = 10000 # more are held until somebody lets them through

# hashfeed follow writes:
# [[follow]]
# feed = "hotline.example/known"
# anchor = "…"             # what all trust in the feed hangs on; never edited by hand
# peer = "12D3…"
# addresses = ["/dns4/hotline.example/tcp/4480"]
# harm = "csam"            # a charter that says otherwise freezes the feed
# verdicts = ["baseline"]  # baseline, national, doubtful: what we trust the feed for; others are only logged
# action = "log"           # block, review or log: equal sha256, photodna or pdq
# action_near = "log"      # a pdq or photodna neighbour; look at some before you block
# action_weak = "log"      # md5 or sha1 alone, which can be forged
# max_distance = 31        # of a pdq neighbour, in bits of 256; at most 48
# max_distance_photodna = 0  # of a photodna neighbour, a sum of squares: 0 only equal ones, 40000 as others do
# on_stale = "keep"        # when nothing is heard: keep exact baseline matches, or review all
# required = false         # true: /readyz fails when the feed is past its hard maxage
# share_counts = false     # true: its publisher is told each week how many uploads matched, never a number below 10;
#                          # look first: hashfeed journal stats --shared FEED

# Who is told of what happens here; as many as there are desks, each by url or by command:
# [[notify]]
# name = "desk"            # names its queue in DIR/notify
# url = "https://desk.example/hashfeed"  # https, or http to this machine; redirects aren't followed
# secret_file = "keys/notify-desk"       # signs what is sent: openssl rand -base64 32, mode 0600; below DIR, or a full path
# on = ["block", "review", "retraction", "dispute", "alarm"]   # and "test": what matches test records only

# [[notify]]
# name = "page"
# command = ["/usr/local/bin/page-me"]   # instead of url: gets the event on standard input. No secret belongs among its words
`, memory, reserve, c.Limits.Connections, c.Limits.Streams, c.Limits.Requests, scan, decode, c.Limits.Pixels)
	return b.Bytes()
}

func listenText(listen []string) string {
	f := listField("listen", listen)
	return f[0].key + " = " + f[0].value
}
