package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/node/api"
)

// ask runs the program in this process.
func ask(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	var out, talk bytes.Buffer
	if code := run(context.Background(), append([]string{"hashfeed", "--dir", dir}, args...), strings.NewReader(""), &out, &talk); code != 0 {
		t.Fatalf("hashfeed %v: exit code %d: %s", args, code, talk.String())
	}
	return out.Bytes()
}

// TestC2SP checks what the program writes with nothing but golang.org/x/mod, as a stranger's tool would: a checkpoint of a mirror, the
// tree that its entries make, and an inclusion proof of each record.
func TestC2SP(t *testing.T) {
	base := t.TempDir()
	dir, mirror := filepath.Join(base, "node"), filepath.Join(base, "mirror")
	ask(t, dir, "init", "--name", "hotline.example", "--role", "hotline", "--harm", "csam")
	const records = 5
	for i := range records {
		ask(t, dir, "publish", "--verdict", "national", "--media", "image", "--hash", fmt.Sprintf("md5:0123456789abcdef%016x", i))
	}
	ask(t, dir, "feed", "mirror", "known", mirror)
	var info api.FeedInfo
	if err := json.Unmarshal(ask(t, dir, "feed", "show", "--json"), &info); err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(info.SignerVKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	openTree := func(text []byte) tlog.Tree {
		t.Helper()
		n, err := note.Open(text, note.VerifierList(verifier))
		if err != nil {
			t.Fatalf("open checkpoint: %v", err)
		}
		lines := strings.Split(n.Text, "\n")
		if len(lines) != 4 || lines[0] != "hotline.example/known/1" || lines[3] != "" {
			t.Fatalf("checkpoint text %q: want origin, size, root", n.Text)
		}
		size, err := strconv.ParseInt(lines[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		root, err := tlog.ParseHash(lines[2])
		if err != nil {
			t.Fatal(err)
		}
		return tlog.Tree{N: size, Hash: root}
	}

	checkpoint, err := os.ReadFile(filepath.Join(mirror, "1", "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	tree := openTree(checkpoint)
	if tree.N != records {
		t.Errorf("checkpoint of size %d, want %d", tree.N, records)
	}
	bundle, err := os.ReadFile(filepath.Join(mirror, "1", "tile", "entries", fmt.Sprintf("000.p/%d", records)))
	if err != nil {
		t.Fatal(err)
	}
	var heads [][]byte
	for len(bundle) > 0 {
		n := int(bundle[0])<<8 | int(bundle[1])
		heads = append(heads, bundle[2:2+n])
		bundle = bundle[2+n:]
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, head := range heads {
		hashes, err := tlog.StoredHashes(int64(i), head, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(int64(len(heads)), reader)
	if err != nil {
		t.Fatal(err)
	}
	if root != tree.Hash {
		t.Errorf("root of the entries %v, want the checkpoint's %v", root, tree.Hash)
	}

	for i, head := range heads {
		proof := ask(t, dir, "feed", "prove", "--no-body", fmt.Sprintf("hotline.example/known/1#%d", i))
		top, rest, ok := bytes.Cut(proof, []byte("\n\n"))
		lines := strings.Split(string(top), "\n")
		if !ok || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" || lines[2] != fmt.Sprintf("index %d", i) {
			t.Fatalf("proof of record %d: %q", i, top)
		}
		var path tlog.RecordProof
		for _, line := range lines[3:] {
			h, err := tlog.ParseHash(line)
			if err != nil {
				t.Fatal(err)
			}
			path = append(path, h)
		}
		of := openTree(rest)
		if of.N != int64(i+1) {
			t.Errorf("record %d is proved by a checkpoint of size %d, want the earliest, %d", i, of.N, i+1)
		}
		if err := tlog.CheckRecord(path, of.N, of.Hash, int64(i), tlog.RecordHash(head)); err != nil {
			t.Errorf("record %d: %v", i, err)
		}
		if strings.Contains(string(proof), base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))) {
			t.Errorf("record %d: the proof discloses a hash", i)
		}
	}
}
