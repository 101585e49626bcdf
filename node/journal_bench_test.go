package node

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// unjournaled answers as its node does, and records nothing.
type unjournaled struct{ *Node }

func (u unjournaled) Answers(ctx context.Context, hashes *feed.Hashes) (policy.Answers, error) {
	return u.answers(ctx, hashes)
}

// idle answers that nothing is listed, and looks nothing up: what remains is the API, with token, parser and answer.
type idle struct{ *Node }

func (i idle) Answers(_ context.Context, hashes *feed.Hashes) (policy.Answers, error) {
	return policy.NewAnswers(hashes, i.outlookAt(i.now()).misses), nil
}

// BenchmarkJournalHTTP asks single hashes over HTTP, of a node that records and of the same one that doesn't: hashes that match nothing, as nearly all
// do, one listed in a hundred, and only listed ones, which are logged or blocked. One connection asks, or eight at once, since lines that are waited
// for share an fsync.
func BenchmarkJournalHTTP(b *testing.B) {
	const listed = 1000
	dir := filepath.Join(b.TempDir(), "node")
	if _, err := Init(dir, InitOptions{Name: testNode, Role: RoleHotline, Harm: "csam", Now: time.Now()}); err != nil {
		b.Fatal(err)
	}
	n, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	var r api.Publish
	for i := range listed {
		r.Items = append(r.Items, api.Item{Hashes: []string{"sha256:" + hex.EncodeToString(benchSum(i))}, Verdict: "national", Media: "image"})
	}
	if _, err := n.Publish(b.Context(), r); err != nil {
		b.Fatal(err)
	}
	token, err := n.CreateToken(b.Context(), api.CreateToken{Name: "bench", Scopes: []string{"match"}})
	if err != nil {
		b.Fatal(err)
	}
	listen := func(verbs api.Verbs) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		o := n.apiOptions()
		o.Registry = prometheus.NewRegistry() // each server has its own
		server := &http.Server{Handler: api.NewServer(verbs, o).TCP().Handler}
		go server.Serve(l)
		b.Cleanup(func() { server.Close() })
		return l.Addr().String()
	}
	with, without := listen(n), listen(unjournaled{n})
	for _, c := range []struct {
		name   string
		action policy.Action
		every  int // the listed ones: one in so many; 0: none
	}{{"unlisted", policy.Log, 0}, {"1in100-log", policy.Log, 100}, {"log", policy.Log, 1}, {"block", policy.Block, 1}} {
		for _, who := range []struct{ name, addr string }{{"without", without}, {"with", with}} {
			for _, connections := range []int{1, 8} {
				b.Run(fmt.Sprintf("%s/%s/%d", c.name, who.name, connections), func(b *testing.B) {
					actOn(n, c.action)
					b.SetParallelism(connections)
					before := cpuTime()
					b.RunParallel(func(pb *testing.PB) { askSingle(b, pb, who.addr, token.Token, c.every) })
					// What a neighbour's work doesn't change as much as it does the time that passes.
					b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
				})
			}
		}
	}
}

// askSingle asks one hash after the other over a connection of its own.
func askSingle(b *testing.B, pb *testing.PB, addr, token string, every int) {
	ask, err := dialBench(addr, token)
	if err != nil {
		b.Error(err)
		return
	}
	defer ask.Close()
	for i := 0; pb.Next(); i++ {
		at := benchKeys + i
		if every > 0 && i%every == 0 {
			at = i / every % 1000
		}
		if err := ask.sha256(benchSum(at)); err != nil {
			b.Error(err)
			return
		}
	}
}

// benchConn asks over one connection, with as little work of its own as may be.
type benchConn struct {
	net.Conn
	in    *bufio.Reader
	head  string
	asked []byte
}

func dialBench(addr, token string) (*benchConn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &benchConn{Conn: c, in: bufio.NewReader(c), head: "POST /v1/match HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token +
		"\r\nContent-Type: application/json\r\nContent-Length: 86\r\n\r\n{\"hashes\":[\"sha256:"}, nil
}

func (c *benchConn) sha256(sum []byte) error {
	c.asked = append(hex.AppendEncode(append(c.asked[:0], c.head...), sum), `"]}`...)
	if _, err := c.Write(c.asked); err != nil {
		return err
	}
	length := 0
	for first := true; ; first = false {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && string(line) != "HTTP/1.1 200 OK\r\n" {
			return fmt.Errorf("%s", line)
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return err
			}
		}
		if len(line) == 2 {
			_, err := c.in.Discard(length)
			return err
		}
	}
}
