package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/node"
	"hashfeed/node/api"
)

// remoteTiles is a C2SP tlog-tiles log somewhere on the web, as any monitor sees it.
type remoteTiles struct {
	t   *testing.T
	url string
}

func (r remoteTiles) get(path string) []byte {
	r.t.Helper()
	resp, err := http.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("GET %s: status %s, %v", path, resp.Status, err)
	}
	return data
}

func (remoteTiles) Height() int                     { return 8 }
func (remoteTiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (r remoteTiles) path(tile tlog.Tile) string {
	return "/" + strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
}
func (r remoteTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		all = append(all, r.get(r.path(tile)))
	}
	return all, nil
}

// TestMonitorC2SP follows a feed at the [monitor] listener as any C2SP monitor does, with nothing but golang.org/x/mod: the signed checkpoint,
// the tiles against its root, each entry against its tile, an older checkpoint as a prefix of the newer; and nothing there tells a hash.
func TestMonitorC2SP(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node")
	ask(t, dir, "init", "--name", "hotline.example", "--role", "hotline", "--harm", "csam")
	hash := func(i int) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(strconv.Itoa(i)))) }
	const records = 300 // more than a tile
	n, err := node.Open(dir, node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	publish := func(from, to int) {
		t.Helper()
		var r api.Publish
		for i := from; i < to; i++ {
			r.Items = append(r.Items, api.Item{Verdict: "national", Media: "image", Hashes: []string{"sha256:" + hash(i)}})
		}
		if _, err := n.Publish(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(api.NewMonitor(n, nil).Handler)
	defer server.Close()
	log := remoteTiles{t, server.URL + "/feed/hotline.example/known/1"}

	info, err := n.Feed(context.Background(), "known")
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(info.SignerVKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	head := func(path string) tlog.Tree {
		t.Helper()
		opened, err := note.Open(log.get(path), note.VerifierList(verifier))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(opened.Text, "\n")
		size, err := strconv.ParseInt(lines[1], 10, 64)
		root, err2 := tlog.ParseHash(lines[2])
		if err != nil || err2 != nil || lines[0] != "hotline.example/known/1" {
			t.Fatalf("checkpoint %q", opened.Text)
		}
		return tlog.Tree{N: size, Hash: root}
	}

	publish(0, 7)
	before := head("/checkpoint")
	publish(7, records)
	tree := head("/checkpoint")
	if before.N != 7 || tree.N != records {
		t.Fatalf("checkpoints of sizes %d and %d, want 7 and %d", before.N, tree.N, records)
	}
	reader := tlog.TileHashReader(tree, log) // it checks every tile against the root
	if root, err := tlog.TreeHash(before.N, reader); err != nil || root != before.Hash {
		t.Errorf("the tree of size 7 isn't a prefix: %v", err)
	}
	if kept := head("/seen/7"); kept != before {
		t.Errorf("kept checkpoint of size 7: got %v, want %v", kept, before)
	}
	var all []byte
	for n := range int64(2) {
		path := fmt.Sprintf("/tile/entries/%03d", n)
		if n == records/256 {
			path += fmt.Sprintf(".p/%d", records%256)
		}
		bundle := log.get(path)
		all = append(all, bundle...)
		for i := n * 256; len(bundle) > 0; i++ {
			size := int(binary.BigEndian.Uint16(bundle))
			leaf := tlog.RecordHash(bundle[2 : 2+size])
			bundle = bundle[2+size:]
			hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, i)})
			if err != nil || hashes[0] != leaf {
				t.Fatalf("entry %d isn't the tree's: %v", i, err)
			}
		}
	}

	base := remoteTiles{t, server.URL}
	page := base.get("/")
	all = append(append(append(all, page...), base.get("/feed/hotline.example/known/counts")...), base.get("/feed/hotline.example/known/charter/1")...)
	for i := range records {
		sum := sha256.Sum256([]byte(strconv.Itoa(i)))
		if bytes.Contains(all, sum[:]) || bytes.Contains(all, []byte(hash(i))) {
			t.Fatalf("hash %d can be read at the monitor", i)
		}
	}
	if _, err := n.PublicFile("hotline.example/known", "1/body/000"); err == nil {
		t.Error("bodies are served")
	} else if !strings.Contains(err.Error(), fs.ErrNotExist.Error()) {
		t.Errorf("bodies: got %v, want %v", err, fs.ErrNotExist)
	}

	// The page's only style is the one that its policy allows.
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindSubmatch(page)
	resp, err := http.Get(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	sum := sha256.Sum256(style[1])
	if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("the policy %q doesn't name the page's style", policy)
	}
	if !bytes.Contains(page, []byte("300 heads")) {
		t.Errorf("the page doesn't count 300 heads:\n%s", page)
	}
}
