package node

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestListBytes: no byte of a list of members can be changed, left out or added.
func TestListBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "members")
	want := []membership{{PeerID: "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X", Name: "host.example", As: "host", Until: 1_900_000_000}}
	if err := writeJSONLines(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := readJSONLines(path, maxMemberFile, membership.check)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("got %v %v, want %v", got, err, want)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := func(what string, i int, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readJSONLines(path, maxMemberFile, membership.check); err == nil {
			t.Fatalf("%s %d: read %v", what, i, got)
		}
	}
	for i := range data {
		for _, bit := range []byte{0x01, 0x20, 0x80} {
			c := bytes.Clone(data)
			c[i] ^= bit
			bad("changed at", i, c)
		}
		bad("cut off at", i, data[:i])
		bad("one byte left out at", i, append(bytes.Clone(data[:i]), data[i+1:]...))
	}
	bad("a byte more than", len(data), append(bytes.Clone(data), '\n'))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, err := readJSONLines(path, maxMemberFile, membership.check); err != nil || len(got) != 0 {
		t.Errorf("without a file: got %v %v, want none", got, err)
	}
}

func TestChangedKeys(t *testing.T) {
	old := DefaultConfig(RoleHost)
	old.Follow = []Follow{{Feed: "a.example/known", MaxDistance: 31}, {Feed: "b.example/known"}}
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"nothing", func(*Config) {}, nil},
		{"a number", func(c *Config) { c.Follow[0].MaxDistance = 30 }, []string{"follow.0.max_distance"}},
		{"a word", func(c *Config) { c.LogLevel = "warn" }, []string{"log_level"}},
		{"an address more", func(c *Config) { c.Listen = append(c.Listen, "/ip4/1.2.3.4/tcp/1") }, []string{"listen.2"}},
	} {
		now := old
		now.Follow = slices.Clone(old.Follow)
		c.change(&now)
		if got := changedKeys(old, now); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	now := old
	now.Follow = old.Follow[:1]
	if got := changedKeys(old, now); !slices.Contains(got, "follow.1.feed") {
		t.Errorf("a follow less: got %v", got)
	}
}
