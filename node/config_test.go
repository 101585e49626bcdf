package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

const (
	testPeer   = "12D3KooWGpuMDEgxjwEQV1i6wpBQQLEjKKZYNnB6F6uuqJrPD3fW"
	testAnchor = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
)

// minimal is what a config can't do without.
const minimal = "name = \"host.example\"\nrole = \"host\"\n"

// fullConfig has every key of the design's example that this version knows.
const fullConfig = `name = "host.example"
role = "host"
listen = ["/ip4/0.0.0.0/tcp/4480", "/ip4/0.0.0.0/udp/4480/quic-v1"]   # port 0 is allowed
api = "127.0.0.1:8480"
api_hosts = ["api.host.example"]
log_level = "debug"
presence = "hidden"
[limits]
memory = "1 GiB"
reserve = 1048576
connections = 7
streams = 8
requests = 9
scan = "10 MiB"
decode = "1 MiB"
pixels = 1000
[own]
action = "review"
action_near = "log"
action_weak = "block"
max_distance_photodna = 100_000
take_counts = true
[policy]
min_publishers = 2
breaker = 7
[[peer]]
id = "` + testPeer + `"
name = "liaison"
addresses = ["/dns4/liaison.example/tcp/4480"]
[[source]]
name = "iwf"
max_verdict = "national"
max_adds_per_day = 7

[[follow]]
feed = "eokm.example/known"
anchor = "` + testAnchor + `"
peer = "` + testPeer + `"
addresses = ["/dns4/eokm.example/tcp/4480"]
harm = "csam"
verdicts = ["baseline", "national"]
action = "block"
action_near = "review"
action_weak = "log"
max_distance = 0
max_distance_photodna = 40000
on_stale = "review"
required = true
share_counts = true
[[follow]]
feed = "interpol.example/known"
anchor = "` + testAnchor + `"
[monitor]
listen = "127.0.0.1:8481"
feeds = ["known"]
[[notify]]
name = "desk"
url = "https://desk.example/hashfeed"
secret_file = "keys/notify-desk"
on = ["block", "test"]
[[notify]]
name = "page"
command = ["/usr/local/bin/page-me", "now"]
[knowngood]
bloom = ["/var/lib/f.bloom", "g.bloom"]
max_distance = 0
[journal]
block = 400
review = 90
log = 30
old_uploads = true
uploads = 7
`

func TestParseConfig(t *testing.T) {
	got, err := parseConfig("hashfeed.toml", []byte(fullConfig))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Name: "host.example", Role: "host", Listen: []string{"/ip4/0.0.0.0/tcp/4480", "/ip4/0.0.0.0/udp/4480/quic-v1"},
		API: "127.0.0.1:8480", APIHosts: []string{"api.host.example"}, LogLevel: "debug", Presence: "hidden",
		Limits: Limits{Memory: 1 << 30, Reserve: 1 << 20, Connections: 7, Streams: 8, Requests: 9, ScanBytes: 10 << 20, DecodeBytes: 1 << 20, Pixels: 1000},
		Own:    Own{policy.Review, policy.Log, policy.Block, 100_000, true},
		Policy: Judging{2, 7}, Monitor: Monitor{"127.0.0.1:8481", []string{"known"}},
		KnownGood: KnownGood{[]string{"/var/lib/f.bloom", "g.bloom"}, 0},
		Journal:   Keeping{400, 90, 30, true, 7},
		Peers:     []Peer{{testPeer, "liaison", []string{"/dns4/liaison.example/tcp/4480"}}},
		Sources:   []SourceConfig{{Name: "iwf", MaxVerdict: "national", MaxAddsPerDay: 7}},
		Follow: []Follow{
			{Feed: "eokm.example/known", Anchor: testAnchor, Peer: testPeer, Addresses: []string{"/dns4/eokm.example/tcp/4480"}, Harm: "csam",
				Verdicts: []string{"baseline", "national"}, Action: policy.Block, ActionNear: policy.Review, ActionWeak: policy.Log, MaxDistance: 0, MaxSquare: 40_000,
				OnStale: policy.ReviewIfStale, Required: true, ShareCounts: true},
			{Feed: "interpol.example/known", Anchor: testAnchor, Verdicts: []string{"baseline"}, Action: policy.Log, ActionNear: policy.Log,
				ActionWeak: policy.Log, MaxDistance: 31, OnStale: policy.Keep},
		},
		Notify: []Notify{
			{Name: "desk", URL: "https://desk.example/hashfeed", SecretFile: "keys/notify-desk", On: []string{"block", "test"}},
			{Name: "page", Command: []string{"/usr/local/bin/page-me", "now"}, On: []string{"block", "review", "retraction", "dispute", "alarm"}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}

	p := got.policyOf([]feed.Name{"host.example/local"})
	ownRule := policy.OwnRule(policy.Review, policy.Log, policy.Block, 31)
	ownRule.MaxSquare = 100_000
	wantPolicy := policy.Policy{MinPublishers: 2, Rules: map[feed.Name]policy.Rule{
		"eokm.example/known": {Verdicts: []feed.Verdict{feed.Baseline, feed.National}, Action: policy.Block, ActionNear: policy.Review,
			ActionWeak: policy.Log, MaxSquare: 40_000, OnStale: policy.ReviewIfStale},
		"interpol.example/known": {Verdicts: []feed.Verdict{feed.Baseline}, Action: policy.Log, ActionNear: policy.Log, ActionWeak: policy.Log,
			MaxDistance: 31, OnStale: policy.Keep},
		"host.example/local": ownRule,
	}}
	if !reflect.DeepEqual(p, wantPolicy) {
		t.Errorf("policy: got  %+v\nwant %+v", p, wantPolicy)
	}
}

// TestConfigErrors wants each mistake named with its line, or its key.
func TestConfigErrors(t *testing.T) {
	follow := minimal + "[[follow]]\nfeed = \"eokm.example/known\"\nanchor = \"" + testAnchor + "\"\n"
	notify := minimal + "[[notify]]\nname = \"desk\"\n"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nobody to notify", notify, []string{`[[notify]] "desk": want either a url or a command`}},
		{"url without a secret", notify + "url = \"https://desk.example/\"\n", []string{`[[notify]] "desk": secret_file: want one for a url`}},
		{"command with a secret", notify + "command = [\"/x\"]\nsecret_file = \"x\"\n", []string{`secret_file: want one for a url, and none for a command`}},
		{"command without a path", notify + "command = [\"x\"]\n", []string{`[[notify]] "desk": command: want the program's full path`}},
		{"a secret in the config", notify + "secret = \"x\"\n", []string{`unknown key "secret" in [notify]`}},
		{"notify twice", notify + "command = [\"/x\"]\n[[notify]]\nname = \"desk\"\ncommand = [\"/x\"]\n", []string{`[[notify]] "desk" stands there twice`}},
		{"told of nothing", notify + "command = [\"/x\"]\non = []\n", []string{`on: name at least one kind`}},
		{"told of what there isn't", notify + "command = [\"/x\"]\non = [\"allow\"]\n", []string{`on "allow": want block, review, retraction, dispute, alarm or test`}},
		{"told twice", notify + "command = [\"/x\"]\non = [\"block\", \"block\"]\n", []string{`on: block stands there twice`}},
		{"too many to notify", minimal + strings.Repeat("[[notify]]\nname = \"x\"\n", maxNotify+1), []string{`[[notify]]: more than 16`}},
		{"empty", "", []string{"name", "role"}},
		{"not TOML", minimal + "api = \n", []string{"hashfeed.toml:3"}},
		{"wrong type", minimal + "listen = 7\n", []string{"hashfeed.toml:3", "listen"}},
		{"key twice", minimal + "role = \"host\"\n", []string{"hashfeed.toml:3", "role"}},
		{"misspelt key", minimal + "log_levle = \"info\"\n", []string{`hashfeed.toml:3: unknown key "log_levle"; did you mean "log_level"?`}},
		{"misspelt key of a block", follow + "acton = \"block\"\n", []string{`hashfeed.toml:6: unknown key "acton" in [follow]; did you mean "action"?`}},
		{"key of another table", follow + "id = \"x\"\n", []string{`hashfeed.toml:6: unknown key "id" in [follow]`}},
		{"nothing like it", minimal + "colour = 1\n", []string{`hashfeed.toml:3: unknown key "colour"`}},
		{"misspelt table", minimal + "\n[limit]\nmemory = 1\n", []string{"hashfeed.toml:4", `did you mean "limits"?`}},
		{"unknown key in a string", minimal + "presence = '''\ncolour = 1\n'''\ncolour = 2\n", []string{"hashfeed.toml:6"}},
		{"two unknown keys", minimal + "a1 = 1\nb1 = 2\n", []string{"hashfeed.toml:3", "hashfeed.toml:4"}},
		{"later table", minimal + "[dropin.clamd]\nlisten = \"x\"\n", []string{"hashfeed.toml:3: [dropin.clamd] is not available in this version"}},
		{"later array", minimal + "[[pull]]\nurl = \"x\"\n", []string{"[pull] is not available in this version"}},
		{"later table, empty", minimal + "[desk]\n", []string{"hashfeed.toml:3: [desk] is not available in this version"}},
		{"later policy", minimal + "[policy]\nquota = 1\n", []string{`unknown key "quota" in [policy]`}},
		{"name", "name = \"Host\"\nrole = \"host\"\n", []string{"name"}},
		{"reserved name", "name = \"hashfeed-test\"\nrole = \"host\"\n", []string{"hashfeed-"}},
		{"role", "name = \"a.example\"\nrole = \"hosts\"\n", []string{"role", "hotline, liaison or host"}},
		{"listen", minimal + "listen = [\"0.0.0.0:4480\"]\n", []string{"listen"}},
		{"listen, ws", minimal + "listen = [\"/ip4/0.0.0.0/tcp/4480/ws\"]\n", []string{"listen"}},
		{"listen, dns", minimal + "listen = [\"/dns4/a.example/tcp/4480\"]\n", []string{"listen"}},
		{"api", minimal + "api = \"8480\"\n", []string{"api", "HOST:PORT"}},
		{"api, name", minimal + "api = \"a.example:80\"\n", []string{"api"}},
		{"api, port", minimal + "api = \"127.0.0.1:65536\"\n", []string{"api"}},
		{"api_hosts", minimal + "api_hosts = [\"A:80\"]\n", []string{"api_hosts"}},
		{"log_level", minimal + "log_level = \"verbose\"\n", []string{"log_level"}},
		{"presence", minimal + "presence = \"shy\"\n", []string{"presence"}},
		{"limit of zero", minimal + "[limits]\nstreams = 0\n", []string{"[limits] streams 0"}},
		{"negative limit", minimal + "[limits]\nconnections = -1\n", []string{"[limits] connections -1"}},
		{"size", minimal + "[limits]\nscan = \"much\"\n", []string{"scan", "256 MiB"}},
		{"small memory", minimal + "[limits]\nmemory = \"1 MiB\"\n", []string{"[limits] memory"}},
		{"own action", minimal + "[own]\naction = \"deny\"\n", []string{"[own] action", "block, review or log"}},
		{"min_publishers", minimal + "[policy]\nmin_publishers = 0\n", []string{"min_publishers"}},
		{"breaker", minimal + "[policy]\nbreaker = -1\n", []string{"breaker"}},
		{"breaker too large", minimal + "[policy]\nbreaker = 1000001\n", []string{"breaker"}},
		{"known-good distance", minimal + "[knowngood]\nmax_distance = 32\n", []string{"[knowngood] max_distance 32"}},
		{"known-good distance below 0", minimal + "[knowngood]\nmax_distance = -1\n", []string{"[knowngood] max_distance"}},
		{"filter without a path", minimal + "[knowngood]\nbloom = [\"\"]\n", []string{"[knowngood] bloom"}},
		{"seventeen filters", minimal + "[knowngood]\nbloom = [" + strings.Repeat("\"f\", ", 17) + "]\n", []string{"[knowngood] bloom: 17 files"}},
		{"known-good, unknown key", minimal + "[knowngood]\nblooms = []\n", []string{"hashfeed.toml:4", `did you mean "bloom"`}},
		{"peer id", minimal + "[[peer]]\nid = \"12D3\"\n", []string{"[[peer]]", "12D3Koo"}},
		{"peer of RSA", minimal + "[[peer]]\nid = \"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N\"\n", []string{"Ed25519"}},
		{"peer twice", minimal + strings.Repeat("[[peer]]\nid = \""+testPeer+"\"\n", 2), []string{"twice"}},
		{"peer address", minimal + "[[peer]]\nid = \"" + testPeer + "\"\naddresses = [\"/ip4/1.2.3.4/tcp/1/p2p/" + testPeer + "\"]\n", []string{"/p2p"}},
		{"feed", minimal + "[[follow]]\nfeed = \"known\"\nanchor = \"" + testAnchor + "\"\n", []string{"[[follow]]", "known"}},
		{"own feed", minimal + "[[follow]]\nfeed = \"host.example/local\"\nanchor = \"" + testAnchor + "\"\n", []string{"own"}},
		{"no anchor", minimal + "[[follow]]\nfeed = \"a/b\"\n", []string{"anchor"}},
		{"anchor", minimal + "[[follow]]\nfeed = \"a/b\"\nanchor = \"" + strings.ToUpper(testAnchor) + "\"\n", []string{"anchor"}},
		{"feed twice", follow + "[[follow]]\nfeed = \"eokm.example/known\"\nanchor = \"" + testAnchor + "\"\n", []string{"twice"}},
		{"follow action", follow + "action_near = \"Block\"\n", []string{"action_near"}},
		{"harm", follow + "harm = \"other\"\n", []string{"harm"}},
		{"no verdicts", follow + "verdicts = []\n", []string{"verdicts"}},
		{"verdict", follow + "verdicts = [\"bad\"]\n", []string{"verdicts", "baseline"}},
		{"verdict test", follow + "verdicts = [\"test\"]\n", []string{"verdicts"}},
		{"verdict twice", follow + "verdicts = [\"baseline\", \"baseline\"]\n", []string{"twice"}},
		{"distance", follow + "max_distance = 49\n", []string{"max_distance 49", "48"}},
		{"negative distance", follow + "max_distance = -1\n", []string{"max_distance -1"}},
		{"source name", minimal + "[[source]]\nname = \"IWF\"\n", []string{"[[source]]", "name"}},
		{"source verdict", minimal + "[[source]]\nname = \"a\"\nmax_verdict = \"other\"\n", []string{"[[source]]", "max_verdict"}},
		{"source rate", minimal + "[[source]]\nname = \"a\"\nmax_adds_per_day = -1\n", []string{"max_adds_per_day -1"}},
		{"source twice", minimal + "[[source]]\nname = \"a\"\n[[source]]\nname = \"a\"\n", []string{"[[source]]", "twice"}},
		{"square", follow + "max_distance_photodna = 100001\n", []string{"[[follow]]", "max_distance_photodna 100001", "100000"}},
		{"negative square", follow + "max_distance_photodna = -1\n", []string{"max_distance_photodna -1"}},
		{"own square", minimal + "[own]\nmax_distance_photodna = 1000000\n", []string{"[own] max_distance_photodna 1000000"}},
		{"journal", minimal + "[journal]\nblock = 0\nuploads = 3651\n", []string{"[journal] block 0", "[journal] uploads 3651", "1 to 3650 days"}},
		{"on_stale", follow + "on_stale = \"block\"\n", []string{"on_stale"}},
		{"too large", minimal + strings.Repeat("#", maxConfig), []string{"larger than"}},
		{"all at once", "name = \"-\"\nrole = \"x\"\npresence = \"y\"\n", []string{"name", "role", "presence"}},
	} {
		config, err := parseConfig("hashfeed.toml", []byte(c.text))
		if err == nil {
			t.Errorf("%s: got %+v, want an error", c.name, config)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want it to contain %q", c.name, err, want)
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	for _, role := range []string{RoleHotline, RoleLiaison, RoleHost} {
		want := DefaultConfig(role)
		want.Name = "a.example"
		if err := want.check(); err != nil {
			t.Errorf("%s: the default is wrong: %v", role, err)
		}
		for kind, text := range map[string]string{
			"rendered": string(RenderConfig("a.example", role)),
			"minimal":  "name = \"a.example\"\nrole = \"" + role + "\"\n",
		} {
			got, err := parseConfig("x", []byte(text))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: got %+v, %v\nwant %+v", role, kind, got, err, want)
			}
		}
		// What config show prints is a config that says the same.
		var b strings.Builder
		if err := toml.NewEncoder(&b).Encode(want); err != nil {
			t.Fatal(err)
		}
		if got, err := parseConfig("x", []byte(b.String())); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s, shown: got %+v, %v\nwant %+v", role, got, err, want)
		}
	}
}

// TestRendered: the comments of the file that init writes are a config too, and a table may be appended.
func TestRendered(t *testing.T) {
	text := string(RenderConfig("host.example", RoleHost))
	if _, err := parseConfig("x", []byte(text+"[limits]\nstreams = 5\n")); err != nil {
		t.Errorf("a table appended: %v", err)
	}
	// Uncomment what is a key or a header, and put in what stands for something.
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		plain, _ := strings.CutPrefix(line, "# ")
		if strings.Contains(plain, " = ") || strings.HasPrefix(plain, "[") && !strings.HasPrefix(plain, "[]") {
			line = plain
		}
		lines = append(lines, line)
	}
	whole := strings.NewReplacer("12D3…", testPeer, `"…"`, `"`+testAnchor+`"`).Replace(strings.Join(lines, "\n"))
	got, err := parseConfig("x", []byte(whole))
	if err != nil {
		t.Fatalf("uncommented: %v\n%s", err, whole)
	}
	want := DefaultConfig(RoleHost)
	if got.Limits != want.Limits || got.Own != want.Own || got.Policy != want.Policy || got.Journal != want.Journal || len(got.Notify) != 2 || len(got.Peers) != 1 || len(got.Follow) != 1 {
		t.Errorf("uncommented: got %+v", got)
	}
	// Every key is shown.
	for _, table := range [][]string{nil, {"limits"}, {"own"}, {"policy"}, {"monitor"}, {"knowngood"}, {"journal"}, {"peer"}, {"follow"}, {"source"}, {"notify"}} {
		for _, key := range keysOf(reflect.TypeFor[Config](), table) {
			if !strings.Contains(whole, key+" = ") && !strings.Contains(whole, "["+key+"]") {
				t.Errorf("%s of %v isn't shown", key, table)
			}
		}
	}
}

func TestEdit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hashfeed.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	want := func(text string) {
		t.Helper()
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("got %v\n%s\nwant\n%s", err, got, text)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	head := minimal + "# [limits]\n# memory = 1\n"
	first := "[[follow]] # \"quoted\n  feed = 'eokm.example/known' # theirs\n# why we follow it\nanchor = \"" + testAnchor + "\"\n" +
		"addresses = [\n  \"/dns4/a.example/tcp/1\", # [[follow]]\n]\naction = \"review\"   # \"not\" # block\n"
	second := "\n# the other one\n[[follow]]\nfeed = \"b.example/known\"\nanchor = \"" + testAnchor + "\"\n# the end\n"
	write(head + first + second)

	must(AppendFollow(path, Follow{Feed: "c.example/known", Anchor: testAnchor, Verdicts: []string{"baseline"}, Action: policy.Log}))
	third := "\n[[follow]]\nfeed = \"c.example/known\"\nanchor = \"" + testAnchor + "\"\nverdicts = [\"baseline\"]\naction = \"log\"\n"
	want(head + first + second + third)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got mode %v, %v, want it as it was", info.Mode(), err)
	}
	if err := AppendFollow(path, Follow{Feed: "eokm.example/known", Anchor: testAnchor}); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("second follow: got %v", err)
	}
	if err := AppendFollow(path, Follow{Feed: "d.example/known", Anchor: "short"}); err == nil {
		t.Error("a block that doesn't load was written")
	}
	want(head + first + second + third)

	must(RemoveFollow(path, "b.example/known"))
	want(head + first + "\n# the other one\n# the end\n" + third)
	if err := RemoveFollow(path, "b.example/known"); !errors.Is(err, errNoBlock) {
		t.Errorf("removed again: got %v", err)
	}
	must(RemoveFollow(path, "c.example/known"))
	want(head + first + "\n# the other one\n# the end\n")

	other := strings.Repeat("ab", 32)
	must(ReplaceFollow(path, Follow{Feed: "eokm.example/known", Anchor: other, Peer: testPeer, Action: policy.Block}))
	replaced := "[[follow]] # \"quoted\nfeed = \"eokm.example/known\" # theirs\n# why we follow it\nanchor = \"" + other + "\"\n" +
		"addresses = [\n  \"/dns4/a.example/tcp/1\", # [[follow]]\n]\naction = \"block\" # \"not\" # block\npeer = \"" + testPeer + "\"\n"
	want(head + replaced + "\n# the other one\n# the end\n")
	must(ReplaceFollow(path, Follow{Feed: "eokm.example/known", Addresses: []string{"/ip4/1.2.3.4/tcp/2"}}))
	replaced = strings.Replace(replaced, "addresses = [\n  \"/dns4/a.example/tcp/1\", # [[follow]]\n]\n", "addresses = [\"/ip4/1.2.3.4/tcp/2\"]\n", 1)
	want(head + replaced + "\n# the other one\n# the end\n")

	must(SetPeer(path, Peer{ID: testPeer, Name: `a "b" \ é`}))
	must(SetPeer(path, Peer{ID: testPeer, Addresses: []string{"/dns4/a.example/tcp/1"}}))
	config, err := LoadConfig(path)
	must(err)
	if len(config.Peers) != 1 || config.Peers[0].Name != `a "b" \ é` || len(config.Peers[0].Addresses) != 1 {
		t.Errorf("got %+v", config.Peers)
	}
	must(RemovePeer(path, testPeer))
	want(head + replaced + "\n# the other one\n# the end\n")

	// A file that is wrong already isn't touched, nor one that isn't there made.
	write("name = '''\n[[follow]]\n")
	if err := RemoveFollow(path, "a/b"); err == nil {
		t.Error("a broken file was edited")
	}
	want("name = '''\n[[follow]]\n")
	if err := SetPeer(path+"x", Peer{ID: testPeer}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}

	// A link stays one.
	write(minimal)
	link := filepath.Join(filepath.Dir(path), "link")
	must(os.Symlink("hashfeed.toml", link))
	must(SetPeer(link, Peer{ID: testPeer}))
	want(minimal + "\n[[peer]]\nid = \"" + testPeer + "\"\n")
	if left, err := filepath.Glob(filepath.Dir(path) + "/.*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "1 KiB": 1 << 10, "256 MiB": 256 << 20, "2GiB": 2 << 30, "1000": 1000, "1 MB": 1_000_000, "1.5 KiB": 1536} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q: got %d, %v, want %d", text, b, err, want)
		}
		var again Bytes
		shown, _ := b.MarshalText()
		if err := again.UnmarshalText(shown); err != nil || again != b {
			t.Errorf("%q, shown %q: got %d, %v", text, shown, again, err)
		}
	}
	for _, text := range []string{"", "-1", "x", "1 EB", "99999999999999999999"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want an error", text, b)
		}
	}
}

func TestSlips(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"acton", "action", 1}, {"levle", "level", 2}, {"abc", "xyz", 3}, {"abcdef", "a", 3}, {"action", "acti0n", 1}} {
		if got := slips(c.a, c.b, 3); got != c.want {
			t.Errorf("%q, %q: got %d, want %d", c.a, c.b, got, c.want)
		}
		if got := slips(c.b, c.a, 3); got != c.want {
			t.Errorf("%q, %q: got %d, want %d", c.b, c.a, got, c.want)
		}
	}
}

// FuzzParseConfig: what loads is valid, and survives an edit that is undone.
func FuzzParseConfig(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		config, err := parseConfig("x", text)
		if err != nil {
			return
		}
		if err := config.check(); err != nil {
			t.Fatal(err)
		}
		// The scanner sees the blocks that the parser sees.
		for _, follow := range config.Follow {
			changed, err := setBlock(string(text), "follow", "feed", follow.Feed, []field{{"anchor", quote(testAnchor)}})
			if err != nil { // an inline array of tables, which isn't edited
				continue
			}
			after, err := parseConfig("x", []byte(changed))
			if err != nil {
				t.Fatalf("after the edit: %v\n%s", err, changed)
			}
			i := slices.IndexFunc(config.Follow, func(o Follow) bool { return o.Feed == follow.Feed })
			want := slices.Clone(config.Follow)
			want[i].Anchor = testAnchor
			if !reflect.DeepEqual(after.Follow, want) {
				t.Fatalf("got %+v, want %+v", after.Follow, want)
			}
		}
	})
}
