package gossip

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	p2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	p2precord "github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"

	"hashfeed/crypto"
	"hashfeed/feed"
)

var update = flag.Bool("update", false, "write the seed corpora of the fuzz targets anew")

// parsers are all that read messages, by the name of their fuzz target.
var parsers = map[string]struct {
	limit int
	parse func([]byte) (any, error)
}{
	"FuzzHello":       {maxHello, anyOf(parseHello)},
	"FuzzList":        {maxList, anyOf(parseList)},
	"FuzzHeadPush":    {maxPush, anyOf(parseHeadPush)},
	"FuzzSuspend":     {maxPush, anyOf(parseSuspend)},
	"FuzzNews":        {maxPush, anyOf(parseNews)},
	"FuzzPeers":       {maxPeers, anyOf(parsePeers)},
	"FuzzHeadAsk":     {maxAsk, anyOf(parseHeadAsk)},
	"FuzzHeadReply":   {maxReply, anyOf(parseHeadReply)},
	"FuzzTilesAsk":    {maxAsk, anyOf(parseTilesAsk)},
	"FuzzCosigning":   {maxCosign, anyOf(parseCosigning)},
	"FuzzReporting":   {maxReport, anyOf(parseReporting)},
	"FuzzTicketReply": {maxReport, anyOf(parseTicketReply)},
	"FuzzProven":      {maxProven, anyOf(parseProven)},
	"FuzzParseCounts": {maxReport, anyOf(parseCounting)},
}

func anyOf[M any](parse func([]byte) (*M, error)) func([]byte) (any, error) {
	return func(data []byte) (any, error) {
		m, err := parse(data)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
}

// samples are good messages, by the fuzz target that they seed.
func samples(t testing.TB) map[string][]any {
	t.Helper()
	witness := testKey("host.example/witness", crypto.TypeCosignature, "sample")
	line, err := witness.Cosign([]byte("hotline.example/known/1\n5\nAAAA\n"), 1795424400)
	if err != nil {
		t.Fatal(err)
	}
	note := []byte("hotline.example/known/1\n5\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— a b\n")
	return map[string][]any{
		"FuzzHello": {
			&hello{Name: "host.example", Witness: witness.Public().String(), Time: 1795424400, Instance: []byte("12345678"), Version: "1.0"},
			&hello{Name: "h", Witness: testKey("h/witness", crypto.TypeCosignature, "").Public().String(), Instance: make([]byte, 8), Record: sampleRecord(t)},
		},
		"FuzzList": {
			&list{Claims: []claim{}},
			&list{Claims: []claim{{Origin: "a.example/known/1", Size: 5, Root: feed.Digest{1}, Stamp: 1795424400, Charter: 1},
				{Origin: "b.example/known/2", Size: feed.MaxSize, Charter: 9999, Roster: 3}}},
		},
		"FuzzHeadPush": {
			&push{Note: note, Lines: []string{line.String()}, Origin: "hotline.example/known/1"},
			&push{Note: []byte{}, Lines: []string{}, Origin: "a/b/1"},
		},
		"FuzzSuspend":     {&suspend{Note: []byte("hashfeed-suspend/v1\nfeed hotline.example/known\ntime 1795424400\nitem 1 17\n\n— a b\n")}},
		"FuzzNews":        {&news{Feed: "hotline.example/known", Charter: 2, Roster: 17}},
		"FuzzPeers":       {&peers{Records: [][]byte{}}, &peers{Records: [][]byte{sampleRecord(t)}}},
		"FuzzHeadAsk":     {&headAsk{Feed: "hotline.example/known"}, &headAsk{Feed: "hotline.example/known", Charter: 9999}},
		"FuzzHeadReply":   {&headReply{}, &headReply{Charters: [][]byte{note}, Note: note, Lines: []string{line.String()}, Roster: note, Suspensions: [][]byte{note, note}}},
		"FuzzTilesAsk":    {&tilesAsk{Origin: "hotline.example/known/1", Size: 70000, Paths: []string{"tile/0/x001/234", "tile/entries/005.p/17", "body/000"}}},
		"FuzzCosigning":   {&cosigning{Origin: "hotline.example/known/1", Size: 5, Line: line.String()}},
		"FuzzReporting":   {&reporting{Kind: "dispute", Ref: subject{Origin: "hotline.example/known/1", Index: 17, Leaf: feed.Digest{2}}, Reason: feed.FalsePositive}},
		"FuzzTicketReply": {&ticketReply{Ticket: feed.Ticket{1, 2, 3}}},
		"FuzzProven":      {&proven{Feed: "hotline.example/known", Data: []byte("hashfeed-evidence/v1\nkind head\n")}},
		"FuzzParseCounts": {sampleCounts(t, nil, nil), sampleCounts(t, map[Cell]uint64{{feed.Baseline, Exact, Blocked}: 340, {feed.National, Near, Reviewed}: 10},
			map[Outcome]uint64{Refused: 310, False: 12}), sampleCounts(t, everyCell(maxCount), everyOutcome(maxCount))},
	}
}

// sampleRecord is a signed peer record. Its key and sequence are the same in every run.
func sampleRecord(t testing.TB, addrs ...string) []byte {
	t.Helper()
	if addrs == nil {
		addrs = []string{"/ip4/1.2.3.4/tcp/4480", "/dns4/host.example/udp/4480/quic-v1"}
	}
	seed := testKey("peer", crypto.TypeSignature, "").Ed25519()
	key, err := p2pcrypto.UnmarshalEd25519PrivateKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	rec := &peer.PeerRecord{PeerID: id, Seq: 7}
	for _, a := range addrs {
		rec.Addrs = append(rec.Addrs, ma.StringCast(a))
	}
	e, err := p2precord.Seal(rec, key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What is written is read again as the same; any byte less, more or changed is refused or another message, never a second spelling.
func TestMessages(t *testing.T) {
	all := samples(t)
	for name, p := range parsers {
		if len(all[name]) == 0 {
			t.Errorf("%s: no sample", name)
		}
		for i, m := range all[name] {
			data := encoded(t, m, p.limit)
			got, err := p.parse(data)
			if err != nil {
				t.Errorf("%s %d: %v", name, i, err)
				continue
			}
			if again := encoded(t, got, p.limit); !bytes.Equal(again, data) {
				t.Errorf("%s %d: got %x, want %x", name, i, again, data)
			}
			for n := range data {
				if _, err := p.parse(data[:n]); !errors.Is(err, errRule) {
					t.Errorf("%s %d: its first %d bytes: got %v, want %v", name, i, n, err, errRule)
				}
			}
			if _, err := p.parse(append(slices.Clone(data), 0)); !errors.Is(err, errRule) {
				t.Errorf("%s %d: a byte behind it: got %v, want %v", name, i, err, errRule)
			}
			for at := range data {
				for _, bit := range []byte{1, 0x80, 0xff} {
					changed := slices.Clone(data)
					changed[at] ^= bit
					if got, err := p.parse(changed); err == nil && !bytes.Equal(encoded(t, got, 2*p.limit), changed) {
						t.Errorf("%s %d: byte %d: a second spelling", name, i, at)
					}
				}
			}
		}
	}
}

// The example of the package's documentation.
func TestExample(t *testing.T) {
	got, err := encode(&news{Feed: "hotline.example/known", Charter: 2, Roster: 17}, maxPush)
	want := "\x00\x00\x00\x1f\xa3\x18\x1f\x75hotline.example/known\x18\x20\x02\x18\x21\x11"
	if err != nil || string(got) != want {
		t.Errorf("got %x, %v, want %x", got, err, want)
	}
}

func encoded(t testing.TB, m any, limit int) []byte {
	t.Helper()
	data, err := encode(m, limit)
	if err != nil {
		t.Fatal(err)
	}
	return data[4:]
}

// Which message of heads/1 a frame is, its beginning says, and with it how long it may be.
func TestPushKinds(t *testing.T) {
	want := map[string]struct {
		limit int
		kind  any
	}{"FuzzHello": {maxHello, &hello{}}, "FuzzList": {maxList, &list{}}, "FuzzHeadPush": {maxPush, &push{}}, "FuzzSuspend": {maxPush, &suspend{}},
		"FuzzNews": {maxPush, &news{}}, "FuzzPeers": {maxPeers, &peers{}}}
	for name, messages := range samples(t) {
		for _, m := range messages {
			data := encoded(t, m, parsers[name].limit)
			w, isPush := want[name]
			if got := pushLimit(data[:min(4, len(data))]); isPush && got != w.limit {
				t.Errorf("%s: limit %d, want %d", name, got, w.limit)
			}
			got, err := parsePush(data)
			if isPush && (err != nil || reflect.TypeOf(got) != reflect.TypeOf(w.kind)) {
				t.Errorf("%s: got %T, %v", name, got, err)
			}
			if !isPush && err == nil && !strings.Contains("FuzzHeadAsk FuzzHeadReply", name) {
				t.Errorf("%s was read as a %T", name, got)
			}
		}
	}
	for _, data := range [][]byte{nil, {}, {0xa1}, {0xa0}, {0xa1, 0x18}, {0xa1, 0x18, 40}, {0xbf, 1}, {0x81, 1}, make([]byte, maxList+1)} {
		if m, err := parsePush(data); !errors.Is(err, errRule) {
			t.Errorf("%x: got %T, %v, want %v", data[:min(len(data), 8)], m, err, errRule)
		}
	}
}

// What is well spelled and out of bounds.
func TestMessageBounds(t *testing.T) {
	s := samples(t)
	mangle := func(name string, i int, change func(any)) (string, any) {
		m := s[name][i]
		copied := reflect.New(reflect.TypeOf(m).Elem())
		copied.Elem().Set(reflect.ValueOf(m).Elem())
		change(copied.Interface())
		return name, copied.Interface()
	}
	check := func(what, name string, m any) {
		t.Helper()
		data, err := encoder.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parsers[name].parse(data); !errors.Is(err, errRule) {
			t.Errorf("%s: got %v, want %v", what, err, errRule)
		}
	}
	for what, f := range map[string]func() (string, any){
		"name":          func() (string, any) { return mangle("FuzzHello", 0, func(m any) { m.(*hello).Name = "Host" }) },
		"another's key": func() (string, any) { return mangle("FuzzHello", 0, func(m any) { m.(*hello).Name = "other.example" }) },
		"time":          func() (string, any) { return mangle("FuzzHello", 0, func(m any) { m.(*hello).Time = 1 << 32 }) },
		"negative time": func() (string, any) { return mangle("FuzzHello", 0, func(m any) { m.(*hello).Time = -1 }) },
		"instance": func() (string, any) {
			return mangle("FuzzHello", 0, func(m any) { m.(*hello).Instance = []byte("1234567") })
		},
		"version": func() (string, any) { return mangle("FuzzHello", 0, func(m any) { m.(*hello).Version = "\x1b[2J" }) },
		"long version": func() (string, any) {
			return mangle("FuzzHello", 0, func(m any) { m.(*hello).Version = strings.Repeat("1", 65) })
		},
		"record": func() (string, any) {
			return mangle("FuzzHello", 0, func(m any) { m.(*hello).Record = make([]byte, maxRecord+1) })
		},
		"descending": func() (string, any) { return mangle("FuzzList", 1, func(m any) { slices.Reverse(m.(*list).Claims) }) },
		"size":       func() (string, any) { return listOf(claim{Origin: "a/b/1", Size: feed.MaxSize + 1, Charter: 1}) },
		"origin":     func() (string, any) { return listOf(claim{Origin: "a/b", Charter: 1}) },
		"self test":  func() (string, any) { return listOf(claim{Origin: feed.SelfTest.Log(1), Charter: 1}) },
		"charter 0":  func() (string, any) { return listOf(claim{Origin: "a/b/1"}) },
		"claims":     func() (string, any) { return listOf(make([]claim, maxClaims+1)...) },
		"line": func() (string, any) {
			return mangle("FuzzHeadPush", 0, func(m any) { m.(*push).Lines = []string{"x"} })
		},
		"lines": func() (string, any) {
			return mangle("FuzzHeadPush", 0, func(m any) { m.(*push).Lines = make([]string, maxLines+1) })
		},
		"suspended": func() (string, any) {
			return "FuzzSuspend", &suspend{Note: []byte("hashfeed-suspend/v1\nfeed x\ntime 1\n")}
		},
		"news":        func() (string, any) { return "FuzzNews", &news{Feed: "a/b", Charter: 10000} },
		"peers":       func() (string, any) { return "FuzzPeers", &peers{Records: [][]byte{make([]byte, maxRecord+1)}} },
		"ask":         func() (string, any) { return "FuzzHeadAsk", &headAsk{Feed: "a/b", Charter: -1} },
		"charters":    func() (string, any) { return "FuzzHeadReply", &headReply{Charters: make([][]byte, maxCharters+1)} },
		"suspensions": func() (string, any) { return "FuzzHeadReply", &headReply{Suspensions: make([][]byte, maxPassed+1)} },
		"no paths":    func() (string, any) { return "FuzzTilesAsk", &tilesAsk{Origin: "a/b/1", Size: 5} },
		"paths": func() (string, any) {
			return "FuzzTilesAsk", &tilesAsk{Origin: "a/b/1", Size: 5, Paths: slices.Repeat([]string{"body/000"}, 65)}
		},
		"path": func() (string, any) {
			return "FuzzTilesAsk", &tilesAsk{Origin: "a/b/1", Size: 5, Paths: []string{"../../keys"}}
		},
		"no cosignature": func() (string, any) {
			return mangle("FuzzCosigning", 0, func(m any) { m.(*cosigning).Line = "— a AAAAAAAA\n" })
		},
		"kind": func() (string, any) {
			return mangle("FuzzReporting", 0, func(m any) { m.(*reporting).Kind = "counts" })
		},
		"reason": func() (string, any) {
			return mangle("FuzzReporting", 0, func(m any) { m.(*reporting).Reason = feed.Upheld })
		},
		"evidence": func() (string, any) { return mangle("FuzzProven", 0, func(m any) { m.(*proven).Feed = "x" }) },
	} {
		name, m := f()
		check(what, name, m)
	}
}

func listOf(claims ...claim) (string, any) { return "FuzzList", &list{Claims: claims} }

// pipe is a conduit over bytes.
type pipe struct {
	bytes.Buffer
	one bool // bytes come one at a time
}

func (p *pipe) Read(b []byte) (int, error) {
	if p.one {
		return iotest.OneByteReader(&p.Buffer).Read(b)
	}
	return p.Buffer.Read(b)
}
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

// A frame is read whole or not at all, and a length that is too much is refused before anything is read or allocated for it.
func TestFrames(t *testing.T) {
	for _, one := range []bool{false, true} {
		p := &pipe{one: one}
		var want [][]byte
		for _, m := range []any{&ticketReply{}, &headAsk{Feed: "a/b"}, &news{Feed: "a/b", Charter: 1}} {
			if err := send(p, m, maxPush); err != nil {
				t.Fatal(err)
			}
			want = append(want, encoded(t, m, maxPush))
		}
		for _, w := range want {
			got, err := receive(p, time.Second, upTo(maxPush))
			if err != nil || !bytes.Equal(got, w) {
				t.Fatalf("got %x, %v, want %x", got, err, w)
			}
		}
	}
	for _, size := range []uint32{0, 101, 1 << 31, 1<<32 - 1, 1<<32 - 3} {
		p := &pipe{}
		p.Write([]byte{byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size), 0xa0, 1, 2, 3})
		var err error
		if n := testing.AllocsPerRun(1, func() { _, err = receive(p, time.Second, upTo(100)) }); n > 20 {
			t.Errorf("%v allocations", n)
		}
		if size != 0 && err == nil {
			t.Errorf("a frame of %d bytes was read", size)
		}
	}
	if err := send(&pipe{}, &peers{Records: [][]byte{make([]byte, 100)}}, 50); err == nil {
		t.Error("a message was sent that the other side must refuse")
	}
}

// A part is as long as it says, and no longer than one of its kind can be.
func TestReadPart(t *testing.T) {
	for _, test := range []struct {
		path, sent string
		want       []byte
		err        error
	}{
		{"tile/0/000", "\x00\x00\x00\x02abc", []byte("ab"), nil},
		{"body/000", "\x00\x00\x00\x00", []byte{}, nil},
		{"body/000", "\xff\xff\xff\xff", nil, nil},
		{"body/000", "\x00\x00\x00\x02a", nil, io.ErrUnexpectedEOF},
		{"body/000", "\x00\x00", nil, io.ErrUnexpectedEOF},
		{"tile/0/000", "\x00\x00\x20\x01", nil, errRule},
		{"tile/entries/000", "\x01\x00\x02\x01", nil, errRule},
		{"body/000", "\xff\xff\xff\xfe", nil, errRule},
	} {
		p := &pipe{}
		p.WriteString(test.sent)
		got, err := readPart(p, test.path)
		if !errors.Is(err, test.err) || !bytes.Equal(got, test.want) || (got == nil) != (test.want == nil) {
			t.Errorf("%s %q: got %q, %v, want %q, %v", test.path, test.sent, got, err, test.want, test.err)
		}
	}
}

func FuzzReceive(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &pipe{}
		p.Write(data)
		for {
			got, err := receive(p, time.Second, pushLimit)
			if err != nil {
				return
			}
			if limit := pushLimit(got[:min(4, len(got))]); len(got) > limit {
				t.Fatalf("%d bytes, at most %d", len(got), limit)
			}
			parsePush(got)
		}
	})
}

func FuzzReadPart(f *testing.F) {
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		p := &pipe{}
		p.Write(data)
		part, err := readPart(p, path)
		if err == nil && len(part) > len(data) {
			t.Fatalf("%d bytes of %d", len(part), len(data))
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		id, e, err := openRecord(data)
		if err == nil && (!allShared(e.addrs) || !id.MatchesPublicKey(mustKey(t, id))) {
			t.Fatal("a record that isn't for others, or another's")
		}
	})
}

func mustKey(t *testing.T, id peer.ID) p2pcrypto.PubKey {
	key, err := id.ExtractPublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Only records that are for others are taken: public addresses, or those that carriers share, signed by the peer itself.
func TestRecords(t *testing.T) {
	for _, test := range []struct {
		addrs []string
		good  bool
	}{
		{[]string{"/ip4/1.2.3.4/tcp/1"}, true},
		{[]string{"/ip4/100.64.0.1/tcp/1"}, true},
		{[]string{"/ip6/2a00::1/udp/1/quic-v1", "/dns4/host.example/tcp/1"}, true},
		{[]string{"/ip4/127.0.0.1/tcp/1"}, false},
		{[]string{"/ip4/10.0.0.1/tcp/1"}, false},
		{[]string{"/ip4/192.168.0.1/tcp/1"}, false},
		{[]string{"/ip4/1.2.3.4/tcp/1", "/ip4/10.0.0.1/tcp/1"}, false},
		{[]string{"/ip4/100.128.0.1/tcp/1", "/ip6/::1/tcp/1"}, false},
		{slices.Repeat([]string{"/ip4/1.2.3.4/tcp/1"}, feed.MaxAddrs+1), false},
		{[]string{}, false},
	} {
		data := sampleRecord(t, test.addrs...)
		if _, _, err := openRecord(data); (err == nil) != test.good {
			t.Errorf("%v: got %v, want good %v", test.addrs, err, test.good)
		}
	}
	data := sampleRecord(t)
	for at := range data {
		changed := bytes.Clone(data)
		changed[at] ^= 1
		if _, e, err := openRecord(changed); err == nil {
			t.Errorf("byte %d changed, and it is taken: %v", at, e.addrs)
		}
	}
}

func fuzzParser(f *testing.F, name string) {
	p := parsers[name]
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > p.limit {
			return
		}
		m, err := p.parse(data)
		if err != nil {
			if !errors.Is(err, errRule) {
				t.Fatalf("%v isn't %v", err, errRule)
			}
			return
		}
		again, err := encode(m, p.limit)
		if err != nil || !bytes.Equal(again[4:], data) {
			t.Fatalf("%x becomes %x, %v", data, again, err)
		}
	})
}

func FuzzHello(f *testing.F)       { fuzzParser(f, "FuzzHello") }
func FuzzList(f *testing.F)        { fuzzParser(f, "FuzzList") }
func FuzzHeadPush(f *testing.F)    { fuzzParser(f, "FuzzHeadPush") }
func FuzzSuspend(f *testing.F)     { fuzzParser(f, "FuzzSuspend") }
func FuzzNews(f *testing.F)        { fuzzParser(f, "FuzzNews") }
func FuzzPeers(f *testing.F)       { fuzzParser(f, "FuzzPeers") }
func FuzzHeadAsk(f *testing.F)     { fuzzParser(f, "FuzzHeadAsk") }
func FuzzHeadReply(f *testing.F)   { fuzzParser(f, "FuzzHeadReply") }
func FuzzTilesAsk(f *testing.F)    { fuzzParser(f, "FuzzTilesAsk") }
func FuzzCosigning(f *testing.F)   { fuzzParser(f, "FuzzCosigning") }
func FuzzReporting(f *testing.F)   { fuzzParser(f, "FuzzReporting") }
func FuzzTicketReply(f *testing.F) { fuzzParser(f, "FuzzTicketReply") }
func FuzzProven(f *testing.F)      { fuzzParser(f, "FuzzProven") }
func FuzzParseCounts(f *testing.F) { fuzzParser(f, "FuzzParseCounts") }

// The seed corpora are the samples; -update writes them.
func TestCorpora(t *testing.T) {
	seeds := map[string][]string{}
	for name, messages := range samples(t) {
		for _, m := range messages {
			data := encoded(t, m, parsers[name].limit)
			seeds[name] = append(seeds[name], fmt.Sprintf("[]byte(%q)", data))
			if _, err := parsePush(data); err == nil {
				frame := append([]byte{0, 0, byte(len(data) >> 8), byte(len(data))}, data...)
				seeds["FuzzReceive"] = append(seeds["FuzzReceive"], fmt.Sprintf("[]byte(%q)", frame))
			}
		}
	}
	slices.Sort(seeds["FuzzReceive"])
	seeds["FuzzReceive"] = append(seeds["FuzzReceive"], `[]byte("\xff\xff\xff\xff\xa1\x01aa")`)
	seeds["FuzzReadPart"] = []string{"string(\"tile/0/000\")\n[]byte(\"\\x00\\x00\\x00\\x01a\")", "string(\"body/000\")\n[]byte(\"\\xff\\xff\\xff\\xff\")"}
	seeds["FuzzRecord"] = []string{fmt.Sprintf("[]byte(%q)", sampleRecord(t))}
	for name, inputs := range seeds {
		for i, input := range inputs {
			path := filepath.Join("testdata", "fuzz", name, fmt.Sprintf("sample-%d", i))
			want := "go test fuzz v1\n" + input + "\n"
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != want {
				t.Errorf("%s: %v; go test -run TestCorpora -update writes it", path, err)
			}
		}
	}
}
