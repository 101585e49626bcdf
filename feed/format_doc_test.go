package feed_test

import (
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"hashfeed/feed"
)

// The example of docs/format.md is a real feed: what it says of its anchor, digests and signatures is so.
func TestFormatExample(t *testing.T) {
	doc, err := os.ReadFile("../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(doc), "## 0. An example")
	if !ok {
		t.Fatal("docs/format.md has no example")
	}
	blocks := regexp.MustCompile("(?s)```\n(.*?)```").FindAllStringSubmatch(example, 4)
	if len(blocks) != 4 {
		t.Fatalf("the example has %d blocks, want charter, head, body, checkpoint", len(blocks))
	}
	anchor, err := feed.ParseAnchor(regexp.MustCompile("[0-9a-f]{64}").FindString(example))
	if err != nil {
		t.Fatal(err)
	}
	chain, err := feed.OpenChain(anchor, [][]byte{[]byte(blocks[0][1])})
	if err != nil {
		t.Fatalf("charter: %v", err)
	}
	bytesOf := func(block string) []byte {
		digits, _, _ := strings.Cut(block, "\n\n")
		raw, err := hex.DecodeString(strings.ReplaceAll(digits, "\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	rawHead, rawBody := bytesOf(blocks[1][1]), bytesOf(blocks[2][1])
	head, err := feed.ParseHead(rawHead)
	if err != nil {
		t.Fatalf("head: %v", err)
	}
	body, err := feed.ParseBody(rawBody)
	if err != nil {
		t.Fatalf("body: %v", err)
	}
	if digest, err := body.Digest(); err != nil || digest != head.Body {
		t.Errorf("digest of the body %x, want the head's %x", digest, head.Body)
	}
	if err := body.Judge(nil, false); err != nil {
		t.Errorf("body: %v", err)
	}
	cp, err := chain.OpenCheckpoint([]byte(blocks[3][1]))
	if err != nil {
		t.Fatalf("checkpoint: %v", err)
	}
	leaf := feed.LeafHash(rawHead)
	if cp.Size != 1 || cp.Root != leaf || !strings.Contains(example, hex.EncodeToString(leaf[:])) {
		t.Errorf("checkpoint of size %d and root %x, want 1 and the leaf %x, which the text names", cp.Size, cp.Root, leaf)
	}
}
