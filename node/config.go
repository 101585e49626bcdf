package node

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/dustin/go-humanize"
	libp2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"hashfeed/feed"
	"hashfeed/node/knowngood"
	"hashfeed/node/policy"
)

// The roles are presets of the config, not different programs.
const (
	RoleHotline = "hotline"
	RoleLiaison = "liaison"
	RoleHost    = "host"
)

// Config is hashfeed.toml. Every key may be left out but name and role, and stands here with its default. An unknown key stops the start: a
// misspelt action must not silently be another one.
type Config struct {
	// Name is this node's: a domain that its owner holds, and the publisher of its own feeds. It is part of every key's name and
	// of every record's reference, so it can't be changed later; make another node.
	Name string `toml:"name" json:"name"`

	// Role is hotline, liaison or host. It presets limits and the own feed's name.
	Role string `toml:"role" json:"role"`

	// Listen are the multiaddrs at which peers reach this node, TCP (with TLS 1.3) and QUIC. Default: port 4480 of every interface.
	// Port 0 lets the system choose. Only vetted peers get past the handshake. [] only dials out.
	Listen []string `toml:"listen" json:"listen"`

	// API is where the HTTP API is served, HOST:PORT. Default 127.0.0.1:8480. It speaks plain HTTP: on any other than a loopback
	// address, tokens and hashes cross the network in clear, so put a proxy with TLS before it.
	API string `toml:"api" json:"api"`

	// APIHosts are more names under which the API may be asked, such as a proxy's. Default none. A request under any name but these,
	// localhost and the address that it came in by is refused, so that no web page can reach the API by DNS rebinding.
	APIHosts []string `toml:"api_hosts" json:"api_hosts"`

	// LogLevel is debug, info, warn or error. Default info. No level prints a full hash.
	LogLevel string `toml:"log_level" json:"log_level"`

	// Presence is open or hidden. Default open. A hidden node announces no address and dials only the publishers of its feeds.
	Presence string `toml:"presence" json:"presence"`

	Limits    Limits    `toml:"limits" json:"limits"`
	Own       Own       `toml:"own" json:"own"`
	Policy    Judging   `toml:"policy" json:"policy"`
	Monitor   Monitor   `toml:"monitor" json:"monitor"`
	KnownGood KnownGood `toml:"knowngood" json:"knowngood"`
	Journal   Keeping   `toml:"journal" json:"journal"`
	Peers     []Peer    `toml:"peer" json:"peer"`
	Follow    []Follow  `toml:"follow" json:"follow"`
	Notify    []Notify  `toml:"notify" json:"notify"`

	// Sources are the sources of lists that import takes, and how far each is trusted.
	Sources []SourceConfig `toml:"source" json:"source"`
}

// Limits bound what the node spends. Sizes are written like "256 MiB", or as a number of bytes.
type Limits struct {
	// Memory is the size at which the runtime starts to collect garbage harder. Default 2 GiB. It is no hard limit; match tables
	// alone take some 100 bytes a listed hash.
	Memory Bytes `toml:"memory" json:"memory"`

	// Reserve is the free space of the disk below which nothing is stored any more. Default 256 MiB. A full disk kills the process
	// in the middle of a write, so don't set it to less than a day of growth.
	Reserve Bytes `toml:"reserve" json:"reserve"`

	// Connections is how many peers may be connected at once. Default 64, for a hotline 512.
	Connections int `toml:"connections" json:"connections"`

	// Streams is how many streams all peers together may have open. Default 1024, for a hotline 8192.
	Streams int `toml:"streams" json:"streams"`

	// Requests is how many HTTP requests are answered at once; more wait or get 429. Default 256.
	Requests int `toml:"requests" json:"requests"`

	// ScanBytes is the size of the largest file that is hashed, by scan and by the API. Default 256 MiB.
	ScanBytes Bytes `toml:"scan" json:"scan"`

	// DecodeBytes is the size of the largest file that is decoded as an image; of larger ones only md5, sha1 and sha256 are computed.
	// Default 64 MiB.
	DecodeBytes Bytes `toml:"decode" json:"decode"`

	// Pixels is the largest image that is decoded, width times height. Default 100,000,000. A decoder takes some 8 bytes a pixel.
	Pixels int64 `toml:"pixels" json:"pixels"`
}

// Own says what is done about matches of this node's own feeds, which are trusted for every verdict.
type Own struct {
	Action     policy.Action `toml:"action" json:"action"`           // of an equal sha256, photodna or pdq. Default block
	ActionNear policy.Action `toml:"action_near" json:"action_near"` // of a pdq or photodna neighbour. Default block
	ActionWeak policy.Action `toml:"action_weak" json:"action_weak"` // of md5 or sha1 alone. Default block

	// MaxSquare is as Follow.MaxSquare.
	MaxSquare int `toml:"max_distance_photodna" json:"max_distance_photodna"`

	// TakeCounts takes what members share of what came of matches of own feeds, by the week, and keeps it for a year (hashfeed feed counts).
	// Default false: it is refused. Members share only if they have switched it on, too (Follow.ShareCounts).
	TakeCounts bool `toml:"take_counts" json:"take_counts"`
}

// Judging is what holds for all feeds.
type Judging struct {
	// MinPublishers is how many different publishers must list or endorse the same before anything is done beyond review. Default 1.
	// Own feeds need no second.
	MinPublishers int `toml:"min_publishers" json:"min_publishers"`

	// Breaker is how many different uploads a record may match within an hour; one that matches more is held here: it blocks nothing any more,
	// its publisher is told, and status shows it until it is released (hashfeed resolve REF --uphold) or retracted. Default 100: few listed
	// pictures come in a hundred different files within an hour, and a logo that was listed by mistake does within minutes. 0 holds nothing
	// more; what is held stays so. Uploads are told apart by their hashes, so that one file that is sent a thousand times is one.
	Breaker int `toml:"breaker" json:"breaker"`
}

// KnownGood says what is known to be harmless, beside the built-in list and what `hashfeed knowngood add` added: nobody lists it here without an
// override, and it is never blocked.
type KnownGood struct {
	// Bloom are Bloom filter files in DCSO's format, such as CIRCL's hashlookup: paths, absolute or below the node's directory. Default none. They are
	// mapped into memory, 1 GiB at most each. A file that can't be used stops the start, and at a reload leaves all as it was; replace one by
	// renaming another over it, never in place. Whoever can write the file can keep anything from being blocked.
	Bloom []string `toml:"bloom" json:"bloom"`

	// MaxDistance is how far, in bits, a picture's pdq may be from a known-good one's to count as known good. Default 31, which is also the most; 0
	// takes only equal ones. Smaller values let pictures be blocked that are known ones in another size or format.
	MaxDistance int `toml:"max_distance" json:"max_distance"`
}

// Monitor is the public audit: a listener without tokens at which anybody can check the own feeds and see what was listed and retracted by
// month and reason, without learning a hash.
type Monitor struct {
	// Listen is where it is served, HOST:PORT. Default none: it is off. It speaks plain HTTP: put a proxy with TLS before it.
	Listen string `toml:"listen" json:"listen"`

	// Feeds are the short names of the own feeds that are shown. Default those that have readers by their charter's audience.
	Feeds []string `toml:"feeds" json:"feeds"`
}

// Peer is another node that may connect, and that is dialled where an address is known. Members of one's own feeds and of followed ones may
// connect without an entry.
type Peer struct {
	ID        string   `toml:"id" json:"id"`               // libp2p peer id of an Ed25519 key, 12D3Koo…
	Name      string   `toml:"name" json:"name"`           // what to call it
	Addresses []string `toml:"addresses" json:"addresses"` // multiaddrs without /p2p
}

// Follow is one feed that this node follows, and how far it is trusted. `hashfeed follow` writes it.
type Follow struct {
	Feed   string `toml:"feed" json:"feed"`     // pub/feed
	Anchor string `toml:"anchor" json:"anchor"` // SHA-256 of a charter, hex: what all trust in the feed hangs on. Never edited by hand

	Peer      string   `toml:"peer" json:"peer"`           // peer id of the publisher, or of whoever passes the feed on
	Addresses []string `toml:"addresses" json:"addresses"` // where to dial it

	Harm string `toml:"harm" json:"harm"` // what it lists: csam, ncii or tvec. "" takes the charter's; another than the charter's freezes the feed

	// Verdicts are those that the feed is trusted for: baseline, national, doubtful. Default baseline. Others are only logged.
	Verdicts []string `toml:"verdicts" json:"verdicts"`

	Action     policy.Action `toml:"action" json:"action"`           // of an equal sha256, photodna or pdq. Default log
	ActionNear policy.Action `toml:"action_near" json:"action_near"` // of a pdq or photodna neighbour. Default log; look at some before you block
	ActionWeak policy.Action `toml:"action_weak" json:"action_weak"` // of md5 or sha1 alone. Default log: both can be forged

	// MaxDistance is the farthest pdq neighbour that counts, in bits. Default 31, at most 48: beyond it strangers begin to match.
	MaxDistance int `toml:"max_distance" json:"max_distance"`

	// MaxSquare is the farthest photodna neighbour that counts, as the sum of the squares of the differences of the 144 bytes. Default 0: only
	// equal ones. Others take 40,000 for the same picture; at most 100,000. Each lookup of a photodna then reads all that are listed.
	MaxSquare int `toml:"max_distance_photodna" json:"max_distance_photodna"`

	// OnStale says what holds while nothing was heard for longer than the charter's hard maxage: keep (exact baseline matches keep
	// their action, all others are at most review) or review (all). Default keep.
	OnStale policy.OnStale `toml:"on_stale" json:"on_stale"`

	// Required makes /readyz fail while the feed is past its hard maxage. Default false.
	Required bool `toml:"required" json:"required"`

	// ShareCounts tells the feed's publisher, and nobody else, what came of each week's matches of it: how many uploads matched, how, and what people
	// did about them. Default false. No number below 10 is told, and nothing of a single upload or record; a feed that lists one picture still
	// makes one of its counts about that picture. Look first: hashfeed journal stats --shared FEED. The first week that is told is the
	// first that begins after it was switched on.
	ShareCounts bool `toml:"share_counts" json:"share_counts"`
}

// Bytes is a size, written like "256 MiB".
type Bytes int64

// UnmarshalText parses a size: a number of bytes, or one with a unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > maxSizeLimit {
		return fmt.Errorf(`size %.20q: want one like "256 MiB"`, text)
	}
	*b = Bytes(n)
	return nil
}

// MarshalText writes the size so that UnmarshalText reads the same.
func (b Bytes) MarshalText() ([]byte, error) {
	for _, unit := range []struct {
		name string
		size Bytes
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if b >= unit.size && b%unit.size == 0 {
			return fmt.Appendf(nil, "%d %s", b/unit.size, unit.name), nil
		}
	}
	return fmt.Appendf(nil, "%d B", b), nil
}

const (
	maxConfig    = 1 << 20   // bytes of hashfeed.toml: a thousand follows are a tenth of it
	maxSizeLimit = 1 << 50   // bytes; a larger limit is a slip
	maxDistance  = 48        // bits; see Follow.MaxDistance. The match tables would go to policy.MaxDistance
	maxSquare    = 100_000   // see Follow.MaxSquare. Of 100,000 pictures of ImageNet the nearest strangers were 232,274 apart
	maxBreaker   = 1_000_000 // uploads an hour: more than a node answers
	nearDistance = 31        // bits: the reference's recommendation, and what own feeds are matched with
	maxBlooms    = 16        // filters: each costs a lookup of every hash that matches something
)

// DefaultConfig returns the config of a role with nothing set but the role.
func DefaultConfig(role string) Config {
	c := Config{
		Role:     role,
		Listen:   []string{"/ip4/0.0.0.0/tcp/4480", "/ip4/0.0.0.0/udp/4480/quic-v1"},
		API:      "127.0.0.1:8480",
		APIHosts: []string{},
		LogLevel: "info",
		Presence: "open",
		Limits: Limits{
			Memory: 2 << 30, Reserve: 256 << 20, Connections: 64, Streams: 1024, Requests: 256,
			ScanBytes: 256 << 20, DecodeBytes: 64 << 20, Pixels: 100_000_000,
		},
		Own:       Own{Action: policy.Block, ActionNear: policy.Block, ActionWeak: policy.Block},
		Policy:    Judging{MinPublishers: 1, Breaker: 100},
		Monitor:   Monitor{Feeds: []string{}},
		KnownGood: KnownGood{Bloom: []string{}, MaxDistance: knowngood.MaxWithin},
		Journal:   defaultKeeping,
		Peers:     []Peer{},
		Follow:    []Follow{},
		Notify:    []Notify{},
		Sources:   []SourceConfig{},
	}
	if role == RoleHotline { // many read it
		c.Limits.Connections, c.Limits.Streams = 512, 8192
	}
	return c
}

// LoadConfig reads a config file. Its errors name file and line, all problems at once.
func LoadConfig(path string) (Config, error) {
	text, err := readConfig(path)
	if err != nil {
		return Config{}, err
	}
	return parseConfig(path, text)
}

// readConfig reads the file, at most maxConfig bytes of it.
func readConfig(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read config: %w", err)
	case len(text) > maxConfig:
		return nil, fmt.Errorf("read config: %s is larger than %d bytes", path, maxConfig)
	}
	return text, nil
}

// document is the file's shape where it isn't Config's: a max_distance of 0 is a value, not a default.
type document struct {
	Config
	Follow []followBlock `toml:"follow"`
}

type followBlock struct {
	Follow
	MaxDistance *int `toml:"max_distance"`
}

// parseConfig parses and checks the text of a config file; name is for errors.
func parseConfig(name string, text []byte) (Config, error) {
	role, err := roleIn(name, text)
	if err != nil {
		return Config{}, err
	}
	return parseOver(name, text, DefaultConfig(role))
}

// roleIn is the role that the text of a config file gives, "" if none: what it doesn't say is the role's default.
func roleIn(name string, text []byte) (role string, err error) {
	if len(text) > maxConfig {
		return "", fmt.Errorf("read config: %s is larger than %d bytes", name, maxConfig)
	}
	var preset struct {
		Role string `toml:"role"`
	}
	if _, err := toml.Decode(string(text), &preset); err != nil {
		return "", tomlError(name, err)
	}
	return preset.Role, nil
}

// parseOver is parseConfig over what holds where the text says nothing.
func parseOver(name string, text []byte, over Config) (Config, error) {
	doc := document{Config: over}
	meta, err := toml.Decode(string(text), &doc)
	if err != nil {
		return Config{}, tomlError(name, err)
	}
	if err := unknownKeys(name, text, meta.Undecoded()); err != nil {
		return Config{}, err
	}
	c := doc.Config
	for _, b := range doc.Follow {
		f := b.Follow
		f.MaxDistance = nearDistance
		if b.MaxDistance != nil {
			f.MaxDistance = *b.MaxDistance
		}
		if f.Verdicts == nil {
			f.Verdicts = []string{feed.Baseline.String()}
		}
		f.Action, f.ActionNear, f.ActionWeak = cmp.Or(f.Action, policy.Log), cmp.Or(f.ActionNear, policy.Log), cmp.Or(f.ActionWeak, policy.Log)
		f.OnStale = cmp.Or(f.OnStale, policy.Keep)
		c.Follow = append(c.Follow, f)
	}
	for i := range c.Notify {
		c.Notify[i].setDefaults()
	}
	if err := c.check(); err != nil {
		return Config{}, placed(name, text, err)
	}
	return c, nil
}

// typeError is how toml says that a value has the wrong type: it isn't a ParseError.
var typeError = regexp.MustCompile(`^toml: line ([0-9]+) \(last key "([^"]*)"\): (.*)$`)

// tomlError says where the file isn't TOML, or holds another type than a key wants.
func tomlError(name string, err error) error {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		if parse.LastKey != "" {
			return fmt.Errorf("%s:%d: %s: %s", name, parse.Position.Line, parse.LastKey, parse.Message)
		}
		return fmt.Errorf("%s:%d: %s", name, parse.Position.Line, parse.Message)
	}
	if m := typeError.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s:%s: %s: %s", name, m[1], m[2], m[3])
	}
	return fmt.Errorf("%s: %w", name, err)
}

// check says everything that is wrong with the values.
func (c *Config) check() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if !feed.ValidName(c.Name) || strings.HasPrefix(c.Name, "hashfeed-") {
		bad("name %.80q: want a domain of a-z, 0-9, . and -, at most %d long, that doesn't begin with hashfeed-", c.Name, feed.MaxName)
	}
	if !slices.Contains([]string{RoleHotline, RoleLiaison, RoleHost}, c.Role) {
		bad("role %.20q: want hotline, liaison or host", c.Role)
	}
	for _, a := range c.Listen {
		if err := checkListen(a); err != nil {
			bad("listen %.80q: %w", a, err)
		}
	}
	if err := CheckAPI(c.API); err != nil {
		bad("api %.80q: %w", c.API, err)
	}
	for _, h := range c.APIHosts {
		if !feed.ValidName(h) {
			bad("api_hosts %.80q: want a host name in lower case, without a port", h)
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		bad("log_level %.20q: want debug, info, warn or error", c.LogLevel)
	}
	if c.Presence != "open" && c.Presence != "hidden" {
		bad("presence %.20q: want open or hidden", c.Presence)
	}
	problems = append(problems, c.Limits.check()...)
	problems = append(problems, checkActions("[own]", c.Own.Action, c.Own.ActionNear, c.Own.ActionWeak)...)
	if err := checkSquare(c.Own.MaxSquare); err != nil {
		problems = append(problems, fmt.Errorf("[own] %w", err))
	}
	if c.Policy.MinPublishers < 1 || c.Policy.MinPublishers > maxPublishers {
		bad("[policy] min_publishers %d: want 1 to %d", c.Policy.MinPublishers, maxPublishers)
	}
	if c.Policy.Breaker < 0 || c.Policy.Breaker > maxBreaker {
		bad("[policy] breaker %d: want 0 to %d", c.Policy.Breaker, maxBreaker)
	}
	if c.KnownGood.MaxDistance < 0 || c.KnownGood.MaxDistance > knowngood.MaxWithin {
		bad("[knowngood] max_distance %d: want 0 to %d", c.KnownGood.MaxDistance, knowngood.MaxWithin)
	}
	if len(c.KnownGood.Bloom) > maxBlooms {
		bad("[knowngood] bloom: %d files: want at most %d", len(c.KnownGood.Bloom), maxBlooms)
	}
	for _, path := range c.KnownGood.Bloom {
		if path == "" {
			bad("[knowngood] bloom: a path is empty")
		}
	}
	problems = append(problems, c.Journal.check()...)
	if c.Monitor.Listen != "" {
		if err := CheckAPI(c.Monitor.Listen); err != nil {
			bad("[monitor] listen %.80q: %w", c.Monitor.Listen, err)
		}
	}
	for _, name := range c.Monitor.Feeds {
		if !feed.ValidName(name) {
			bad("[monitor] feeds %.80q: want the short name of an own feed", name)
		}
	}
	seen := map[string]bool{}
	for _, p := range c.Peers {
		if err := p.check(); err != nil {
			bad("[[peer]] %.80q: %w", p.ID, err)
		}
		if seen[p.ID] {
			bad("[[peer]] %.80q stands there twice", p.ID)
		}
		seen[p.ID] = true
	}
	seen = map[string]bool{}
	for i, f := range c.Follow {
		for _, err := range f.check(c.Name) {
			problems = append(problems, followError{i, f.Feed, err})
		}
		if seen[f.Feed] {
			bad("[[follow]] %.140q stands there twice", f.Feed)
		}
		seen[f.Feed] = true
	}
	problems = append(problems, checkNotify(c.Notify)...)
	seen = map[string]bool{}
	for _, s := range c.Sources {
		if err := s.check(); err != nil {
			bad("[[source]] %.40q: %w", s.Name, err)
		}
		if seen[s.Name] {
			bad("[[source]] %.40q stands there twice", s.Name)
		}
		seen[s.Name] = true
	}
	return errors.Join(problems...)
}

func (l Limits) check() (problems []error) {
	for _, v := range []struct {
		key            string
		got, low, high int64
	}{
		{"memory", int64(l.Memory), 64 << 20, maxSizeLimit},
		{"reserve", int64(l.Reserve), 1 << 20, maxSizeLimit},
		{"connections", int64(l.Connections), 1, 1 << 16},
		{"streams", int64(l.Streams), 1, 1 << 20},
		{"requests", int64(l.Requests), 1, 1 << 16},
		{"scan", int64(l.ScanBytes), 1, maxSizeLimit},
		{"decode", int64(l.DecodeBytes), 1, 4 << 30},
		{"pixels", l.Pixels, 1, 1 << 31},
	} {
		if v.got < v.low || v.got > v.high {
			problems = append(problems, fmt.Errorf("[limits] %s %d: want %d to %d", v.key, v.got, v.low, v.high))
		}
	}
	return problems
}

func checkActions(where string, action, near, weak policy.Action) (problems []error) {
	for _, a := range []struct {
		key    string
		action policy.Action
	}{{"action", action}, {"action_near", near}, {"action_weak", weak}} {
		if _, err := policy.ParseAction(string(a.action)); err != nil {
			problems = append(problems, fmt.Errorf("%s %s %.20q: want block, review or log", where, a.key, a.action))
		}
	}
	return problems
}

// checkListen takes what the transports that we have can listen on.
func checkListen(s string) error {
	a, err := multiaddr.NewMultiaddr(s)
	if err != nil {
		return err
	}
	codes := []int{}
	for _, p := range a.Protocols() {
		codes = append(codes, p.Code)
	}
	ip := len(codes) > 1 && (codes[0] == multiaddr.P_IP4 || codes[0] == multiaddr.P_IP6)
	tcp := ip && len(codes) == 2 && codes[1] == multiaddr.P_TCP
	quic := ip && len(codes) == 3 && codes[1] == multiaddr.P_UDP && codes[2] == multiaddr.P_QUIC_V1
	if !tcp && !quic {
		return errors.New("want /ip4/ADDRESS/tcp/PORT or /ip4/ADDRESS/udp/PORT/quic-v1, or the same with ip6")
	}
	return nil
}

// checkDial takes an address of another node.
func checkDial(s string) error {
	a, err := multiaddr.NewMultiaddr(s)
	if err != nil {
		return err
	}
	for _, p := range a.Protocols() {
		if p.Code == multiaddr.P_P2P || p.Code == multiaddr.P_CIRCUIT {
			return errors.New("want an address without /p2p and without a relay")
		}
	}
	return nil
}

// CheckAPI says what is wrong with an address for the API, HOST:PORT. The host must be an IP address or localhost, so that no name
// service decides where it is served.
func CheckAPI(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("want HOST:PORT")
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
		return errors.New("want an IP address or localhost before the port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return errors.New("want a port of 0 to 65535")
	}
	return nil
}

// checkPeerID takes what connections are made by: Ed25519 keys only, since others cost more to check than to send.
func checkPeerID(s string) error {
	id, err := peer.Decode(s)
	if err != nil || id.String() != s {
		return errors.New("want a peer id, 12D3Koo…")
	}
	key, err := id.ExtractPublicKey()
	if err != nil || key.Type() != libp2pcrypto.Ed25519 {
		return errors.New("want the peer id of an Ed25519 key, 12D3Koo…")
	}
	return nil
}

func (p Peer) check() error {
	if err := checkPeerID(p.ID); err != nil {
		return err
	}
	if len(p.Name) > feed.MaxName || strings.ContainsFunc(p.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("name: want at most %d characters, without control characters", feed.MaxName)
	}
	return checkAddresses(p.Addresses)
}

func checkAddresses(addresses []string) error {
	if len(addresses) > 32 {
		return errors.New("more than 32 addresses")
	}
	for _, a := range addresses {
		if err := checkDial(a); err != nil {
			return fmt.Errorf("address %.80q: %w", a, err)
		}
	}
	return nil
}

// check says what is wrong with f in the config of the node called me.
func (f Follow) check(me string) (problems []error) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	name, err := feed.ParseName(f.Feed)
	if err != nil {
		bad("feed: %w", err)
	} else if name.Publisher() == me {
		bad("feed: it is this node's own")
	}
	if _, err := feed.ParseAnchor(f.Anchor); err != nil {
		bad("%w", err)
	}
	if f.Peer != "" {
		if err := checkPeerID(f.Peer); err != nil {
			bad("peer %.80q: %w", f.Peer, err)
		}
	}
	if err := checkAddresses(f.Addresses); err != nil {
		bad("%w", err)
	}
	if f.Harm != "" {
		if _, err := feed.ParseHarm(f.Harm); err != nil {
			bad("harm %.20q: want csam, ncii or tvec", f.Harm)
		}
	}
	if len(f.Verdicts) == 0 {
		bad("verdicts: name at least one; a feed that is trusted for nothing need not be followed")
	}
	for i, v := range f.Verdicts {
		if verdict, err := feed.ParseVerdict(v); err != nil || verdict == feed.Test {
			bad("verdicts %.20q: want baseline, national or doubtful", v)
		} else if slices.Contains(f.Verdicts[:i], v) {
			bad("verdicts: %s stands there twice", v)
		}
	}
	for _, err := range checkActions("", f.Action, f.ActionNear, f.ActionWeak) {
		bad("%w", err)
	}
	if f.MaxDistance < 0 || f.MaxDistance > maxDistance {
		bad("max_distance %d: want 0 to %d", f.MaxDistance, maxDistance)
	}
	if err := checkSquare(f.MaxSquare); err != nil {
		problems = append(problems, err)
	}
	if f.OnStale != policy.Keep && f.OnStale != policy.ReviewIfStale {
		bad("on_stale %.20q: want keep or review", f.OnStale)
	}
	return problems
}

func checkSquare(square int) error {
	if square < 0 || square > maxSquare {
		return fmt.Errorf("max_distance_photodna %d: want 0 to %d", square, maxSquare)
	}
	return nil
}

// policyOf returns what the operator decided, own being this node's feeds.
func (c *Config) policyOf(own []feed.Name) policy.Policy {
	p := policy.Policy{Rules: make(map[feed.Name]policy.Rule, len(c.Follow)+len(own)), MinPublishers: c.Policy.MinPublishers}
	for _, f := range c.Follow {
		p.Rules[feed.Name(f.Feed)] = f.rule()
	}
	for _, n := range own {
		r := policy.OwnRule(c.Own.Action, c.Own.ActionNear, c.Own.ActionWeak, nearDistance)
		r.MaxSquare = c.Own.MaxSquare
		p.Rules[n] = r
	}
	return p
}

// rule returns the rule of a block that has been checked.
func (f Follow) rule() policy.Rule {
	r := policy.Rule{Action: f.Action, ActionNear: f.ActionNear, ActionWeak: f.ActionWeak, MaxDistance: f.MaxDistance, MaxSquare: f.MaxSquare,
		OnStale: f.OnStale}
	for _, s := range f.Verdicts {
		if v, err := feed.ParseVerdict(s); err == nil {
			r.Verdicts = append(r.Verdicts, v)
		}
	}
	return r
}
