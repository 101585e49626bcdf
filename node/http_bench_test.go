package node

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// benchKeys is how many sha256 the benchmarks' node lists.
const benchKeys = 1_000_000

// benchSum is a digest that is listed below benchKeys, and not above.
func benchSum(i int) []byte {
	sum := sha256.Sum256([]byte(strconv.Itoa(i)))
	return sum[:]
}

var benchNode = sync.OnceValues(func() (*Node, error) {
	// The directory may be kept, since to fill it takes a minute.
	dir := os.Getenv("HASHFEED_BENCH_DIR")
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "hashfeed-bench"); err != nil {
			return nil, err
		}
	}
	dir = filepath.Join(dir, "node")
	if _, err := os.Stat(dir); err == nil {
		return Open(dir, Options{})
	}
	if _, err := Init(dir, InitOptions{Name: testNode, Role: RoleHotline, Harm: "csam", Now: time.Now()}); err != nil {
		return nil, err
	}
	n, err := Open(dir, Options{})
	if err != nil {
		return nil, err
	}
	for from := 0; from < benchKeys; from += maxPublishItems {
		var r api.Publish
		for i := range maxPublishItems {
			r.Items = append(r.Items, api.Item{Hashes: []string{"sha256:" + hex.EncodeToString(benchSum(from+i))}, Verdict: "national", Media: "image"})
		}
		done, err := n.Publish(context.Background(), r)
		if err != nil || done[0].Ref == "" {
			return nil, fmt.Errorf("publish: %+v, %w", done[:min(1, len(done))], err)
		}
	}
	return n, nil
})

// actOn has a node do so about what its own feeds list.
func actOn(n *Node, action policy.Action) {
	config := *n.config.Load()
	config.Own.Action = action
	n.config.Store(&config)
	n.decide()
}

// benchForm is one way to ask.
type benchForm struct {
	name, path, contentType string
	bodies                  [][]byte                 // asked in turn
	answer                  func(body []byte) []byte // without a lookup
}

// benchBodies are a hundred hashes, or n where that is more, of which one in every is listed: n in each question.
func benchBodies(n, every int) (json, lines, octets [][]byte) {
	for from := 0; from < max(n, 100); from += n {
		var texts []string
		var digests []byte
		for i := from; i < from+n; i++ {
			at := benchKeys + i
			if i%every == every/2 {
				at = i * 997
			}
			sum := benchSum(at)
			digests = append(digests, sum...)
			texts = append(texts, "sha256:"+hex.EncodeToString(sum))
		}
		json = append(json, []byte(`{"hashes":["`+strings.Join(texts, `","`)+`"]}`))
		lines = append(lines, []byte(strings.Join(texts, "\n")+"\n"))
		octets = append(octets, digests)
	}
	return json, lines, octets
}

// benchForms ask for n hashes each, of which one in every is listed.
func benchForms(n, every int) []benchForm {
	bodies, lines, octets := benchBodies(n, every)
	// What the bare handler answers to each hash. A hit's verdict is longer than a miss's.
	head := fmt.Sprintf(`,"verdict":"allow","checked":["sha256"],"unchecked":[],"matches":[],"heads":[{"origin":"%s/known/1","size":%d,"age_s":10,"state":"ok"}]}`, testNode, benchKeys)
	return []benchForm{
		{"json", "/v1/match", "application/json", bodies, func(body []byte) []byte {
			answer := append(make([]byte, 0, 4*len(body)+1024), `{"results":[`...)
			for rest := body[len(`{"hashes":`):]; ; {
				begin := bytes.IndexByte(rest, '"')
				if begin < 0 {
					return append(answer[:len(answer)-1], "]}\n"...)
				}
				rest = rest[begin+1:]
				end := bytes.IndexByte(rest, '"')
				answer = append(append(append(append(answer, `{"query":"`...), rest[:end]...), '"'), head...)
				answer, rest = append(answer, ','), rest[end+1:]
			}
		}},
		{"lines", "/v1/match", "text/plain", lines, func(body []byte) []byte {
			answer := make([]byte, 0, len(body)/8)
			for len(body) > 0 {
				body, answer = body[bytes.IndexByte(body, '\n')+1:], append(answer, "allow\n"...)
			}
			return answer
		}},
		{"octets", "/v1/match?alg=sha256", "application/octet-stream", octets, func(body []byte) []byte { return make([]byte, len(body)/sha256.Size) }},
	}
}

// bareHandler reads and answers what a node would, without tokens, tables or policy: what HTTP alone costs.
func bareHandler(forms []benchForm) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, f := range forms {
			if r.Header.Get("Content-Type") == f.contentType {
				answer := f.answer(body)
				w.Header().Set("Content-Type", f.contentType)
				w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
				w.Write(answer)
			}
		}
	})
}

// BenchmarkMatchHTTP asks a node that lists a million sha256 over its TCP door, token and policy included, and beside it a handler that looks
// nothing up, the same node without its journal, and without its tables too. Of a hundred hashes one is listed, of those that are rare one of a thousand; that is logged, as after a
// follow. If HASHFEED_BENCH_WRK is how to start wrk ("taskset -c 1 wrk -t1 -c16"), that asks; else a client in this process does, which takes
// half of the time. For one core: GOMAXPROCS=1 taskset -c 0 and a test binary.
func BenchmarkMatchHTTP(b *testing.B) {
	n, err := benchNode()
	if err != nil {
		b.Fatal(err)
	}
	actOn(n, policy.Log)
	n.tokens.all.Store(&[]storedToken{})
	token, err := n.CreateToken(b.Context(), api.CreateToken{Name: "bench", Scopes: []string{"match"}})
	if err != nil {
		b.Fatal(err)
	}
	listen := func(server *http.Server, wrap func(net.Listener) net.Listener) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		go server.Serve(wrap(l))
		b.Cleanup(func() { server.Close() })
		return l.Addr().String()
	}
	open := func(verbs api.Verbs) string {
		o := n.apiOptions()
		o.Registry = prometheus.NewRegistry() // each server has its own
		server := api.NewServer(verbs, o)
		return listen(server.TCP(), server.Listen)
	}
	door, silent, api := open(n), open(unjournaled{n}), open(idle{n})
	for _, c := range []struct {
		name        string
		size, every int
	}{{"1", 1, 100}, {"1000", 1000, 100}, {"1000-rare", 1000, 1000}} {
		forms, size := benchForms(c.size, c.every), c.size
		bare := listen(&http.Server{Handler: bareHandler(forms)}, func(l net.Listener) net.Listener { return l })
		for _, f := range forms {
			for _, who := range []struct{ name, addr string }{{"bare", bare}, {"node", door}, {"unjournaled", silent}, {"idle", api}} {
				b.Run(fmt.Sprintf("%s/%s/%s", c.name, f.name, who.name), func(b *testing.B) {
					if wrk := os.Getenv("HASHFEED_BENCH_WRK"); wrk != "" {
						runWrk(b, wrk, who.addr, f, token.Token, size)
						return
					}
					askBench(b, who.addr, f, token.Token)
					b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "hashes/s")
				})
			}
		}
	}
}

// askBench asks over one connection, a request after the other.
func askBench(b *testing.B, addr string, f benchForm, token string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	var requests [][]byte
	for _, body := range f.bodies {
		request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
			f.path, token, f.contentType, len(body))
		requests = append(requests, append(request, body...))
	}
	in := bufio.NewReaderSize(c, 1<<20)
	for i := 0; b.Loop(); i++ {
		if _, err := c.Write(requests[i%len(requests)]); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
	}
}

var (
	wrkRate  = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkCount = regexp.MustCompile(`([0-9]+) requests in`)
)

// runWrk reports what wrk measures in three seconds.
func runWrk(b *testing.B, wrk, addr string, f benchForm, token string, size int) {
	dir := b.TempDir()
	script := fmt.Sprintf(`wrk.method = "POST"
wrk.headers["Content-Type"] = %q
wrk.headers["Authorization"] = %q
local requests, n = {}, 0
init = function(args)
  for i = 1, %d do
    requests[i] = wrk.format(nil, nil, nil, io.open(%q .. i, "rb"):read("*a"))
  end
end
request = function()
  n = n %% #requests + 1
  return requests[n]
end
`, f.contentType, "Bearer "+token, len(f.bodies), filepath.Join(dir, "body"))
	if err := os.WriteFile(filepath.Join(dir, "ask.lua"), []byte(script), 0o600); err != nil {
		b.Fatal(err)
	}
	for i, body := range f.bodies {
		if err := os.WriteFile(filepath.Join(dir, "body"+strconv.Itoa(i+1)), body, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	args := append(strings.Fields(wrk), "-d3s", "-s", filepath.Join(dir, "ask.lua"), "http://"+addr+f.path)
	rate, requests := 0.0, 0.0
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		found := wrkRate.FindSubmatch(out)
		if err != nil || found == nil || bytes.Contains(out, []byte("Non-2xx")) {
			b.Fatalf("%s: %v", out, err)
		}
		if rate, err = strconv.ParseFloat(string(found[1]), 64); err != nil {
			b.Fatal(err)
		}
		count, err := strconv.ParseFloat(string(wrkCount.FindSubmatch(out)[1]), 64)
		if err != nil {
			b.Fatal(err)
		}
		requests += count
	}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		b.Fatal(err)
	}
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	// What a core could do that had nothing else to do.
	b.ReportMetric(requests*1e9/float64(spent), "requests/cpu-s")
	b.ReportMetric(rate, "requests/s")
	b.ReportMetric(rate*float64(size), "hashes/s")
}
