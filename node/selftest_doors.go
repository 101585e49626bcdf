package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/digest"
	"hashfeed/node/notify"
	"hashfeed/node/policy"
)

// doorsOpen is where a running node serves.
type doorsOpen struct {
	api    net.Addr
	socket string
}

// testDoor is one way in: ask sends a picture there and returns the answer. The table of them is testDoors; whoever adds a door to the node adds
// a line there.
type testDoor struct {
	name string
	ask  func(ctx context.Context, picture []byte) (policy.Verdict, error)
}

// doorTime is how long a door may take for one picture.
const doorTime = 10 * time.Second

var errNoDaemon = errors.New("no daemon runs: this door is closed (hashfeed run)")

// testDoors are the doors of this node as it runs, or as it is open. done lets go of them.
func (n *Node) testDoors(ctx context.Context) (doors []testDoor, done func()) {
	open := n.doors.Load()
	if open == nil { // a command that opened the directory itself
		closed := func(context.Context, []byte) (policy.Verdict, error) { return policy.Verdict{}, errNoDaemon }
		return append(verbDoors("command line", n, nil), testDoor{"api", closed}, testDoor{"socket", closed}), func() {}
	}
	token := rand.Text()
	n.ownToken.Store(&token)
	tcp := api.DialOwn(ownAddress(open.api), token)
	socket, err := api.Dial(ctx, open.socket)
	doors = append(verbDoors("api", tcp, nil), verbDoors("socket", socket, err)...)
	return doors, func() {
		n.ownToken.Store(nil)
		tcp.Close()
		if socket != nil {
			socket.Close()
		}
	}
}

// pictureDoor is what answers about pictures: api.Client, and Node itself.
type pictureDoor interface {
	Match(ctx context.Context, hashes []feed.Hash, oneFile bool) ([]policy.Verdict, error)
	Scan(ctx context.Context, r io.Reader, ref string) (policy.Verdict, error)
}

// scopes are what a token may do: those of the node, and that of a self-test.
func (n *Node) scopes(token string) ([]string, bool) {
	if own := n.ownToken.Load(); own != nil && subtle.ConstantTimeCompare([]byte(*own), []byte(token)) == 1 {
		return []string{api.ScopeMatch}, true
	}
	return n.tokens.Scopes(token)
}

// ownAddress is where this machine reaches what listens at an address.
func ownAddress(a net.Addr) string {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil || !at.Addr().IsUnspecified() {
		return a.String()
	}
	here := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if at.Addr().Is6() {
		here = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(here, at.Port()).String()
}

// testCase is a picture and what it must be answered.
type testCase struct {
	name    string
	picture []byte
	listed  bool // as the test picture; else nothing may match
}

// SelfTest sends the test picture, a copy of it in other bytes and an innocent picture through every door, and a test event to every target of
// [[notify]]. One test runs at a time.
func (n *Node) SelfTest(ctx context.Context) (api.SelfTest, error) {
	n.testing.Lock()
	defer n.testing.Unlock()
	cases, err := testCases()
	if err != nil {
		return api.SelfTest{}, fmt.Errorf("self-test: %w", err)
	}
	result := api.SelfTest{Passed: true, Time: n.now().UTC().Format(time.RFC3339), Doors: []api.DoorTested{}}
	add := func(name string, took time.Duration, err error) {
		d := api.DoorTested{Door: name, OK: err == nil, Seconds: took.Seconds()}
		if err != nil {
			d.Text, result.Passed = err.Error(), false
		}
		result.Doors = append(result.Doors, d)
	}
	doors, done := n.testDoors(ctx)
	defer done()
	for _, d := range doors {
		begun := time.Now()
		err := d.test(ctx, cases)
		add(d.name, time.Since(begun), err)
	}
	if n.doors.Load() == nil {
		for _, t := range n.config.Load().Notify {
			add("notify "+t.Name, 0, errNoDaemon)
		}
	} else {
		m, err := n.testMessage()
		if err != nil {
			return api.SelfTest{}, fmt.Errorf("self-test: %w", err)
		}
		for _, r := range n.news.notifier.Probe(ctx, m) {
			add("notify "+r.Target, r.Took, r.Err)
		}
	}
	if err := ctx.Err(); err != nil {
		return api.SelfTest{}, fmt.Errorf("self-test: %w", err)
	}
	if result.Passed {
		n.passed.Store(n.unix())
		n.news.stir() // which keeps it
	}
	return result, nil
}

// test sends all pictures through a door.
func (d testDoor) test(ctx context.Context, cases []testCase) error {
	for _, c := range cases {
		switch err := d.try(ctx, c); {
		case errors.Is(err, errNoDaemon):
			return err // whatever the picture
		case err != nil:
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

func (d testDoor) try(ctx context.Context, c testCase) error {
	ctx, cancel := context.WithTimeout(ctx, doorTime)
	defer cancel()
	v, err := d.ask(ctx, c.picture)
	if err != nil {
		return err
	}
	if !c.listed {
		if v.Verdict != policy.OutcomeAllow {
			return fmt.Errorf("the verdict is %s, and nothing like it should be listed anywhere", v.Verdict)
		}
		return nil
	}
	if v.Verdict != policy.OutcomeBlock {
		return fmt.Errorf("the verdict is %s, want block", v.Verdict)
	}
	for _, m := range v.Matches {
		if m.Test && m.Origin == string(feed.SelfTest.Log(1)) {
			return nil
		}
	}
	return errors.New("it is blocked, but not as the test picture")
}

// testMessage is the event that tells a receiver that it is reached.
func (n *Node) testMessage() (notify.Message, error) {
	e := api.Event{Kind: api.EventTest, Text: "a self-test: this receiver is reached; do nothing about it", Test: true}
	n.news.mu.Lock()
	defer n.news.mu.Unlock()
	now := n.now()
	text, err := n.news.write(&e, now)
	return notify.Message{ID: e.ID, Kind: e.Kind, Time: now, Body: text}, err
}

// selfTestMetrics tells Prometheus when the self-test last passed.
type selfTestMetrics struct{ n *Node }

var selfTestPassed = prometheus.NewDesc("hashfeed_selftest_passed_timestamp_seconds", "When the self-test last passed, Unix seconds; 0: never.", nil, nil)

func (selfTestMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- selfTestPassed }

func (m selfTestMetrics) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(selfTestPassed, prometheus.GaugeValue, float64(m.n.passed.Load()))
}

// verbDoors are the two doors, match and scan, of what has these verbs. err is why it can't be asked.
func verbDoors(name string, v pictureDoor, err error) []testDoor {
	fail := func(context.Context, []byte) (policy.Verdict, error) { return policy.Verdict{}, err }
	if err != nil {
		return []testDoor{{name + " match", fail}, {name + " scan", fail}}
	}
	return []testDoor{
		{name + " match", func(ctx context.Context, picture []byte) (policy.Verdict, error) {
			sum, err := digest.Read(ctx, bytes.NewReader(picture), digest.Limits{})
			if err != nil {
				return policy.Verdict{}, err
			}
			verdicts, err := v.Match(ctx, QueryHashes(sum), true)
			if err != nil {
				return policy.Verdict{}, err
			}
			if len(verdicts) != 1 {
				return policy.Verdict{}, fmt.Errorf("%d verdicts for one file", len(verdicts))
			}
			return verdicts[0], nil
		}},
		{name + " scan", func(ctx context.Context, picture []byte) (policy.Verdict, error) {
			return v.Scan(ctx, bytes.NewReader(picture), "")
		}},
	}
}
