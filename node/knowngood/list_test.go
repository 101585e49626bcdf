package knowngood

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"hashfeed/feed"
)

// wordpress are the hashes of the pictures of the 2021 incident.
func wordpress(t testing.TB) (rows [][]feed.Hash) {
	t.Helper()
	f, err := os.Open("testdata/wordpress.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines[1:] {
		var row []feed.Hash
		for i, alg := range []feed.Alg{feed.MD5, feed.SHA1, feed.SHA256, feed.PDQ} {
			value, err := hex.DecodeString(l[3+i])
			if err != nil {
				t.Fatal(err)
			}
			if len(value) == 0 {
				continue
			}
			h := feed.Hash{Alg: alg, Value: string(value)}
			if alg == feed.PDQ {
				quality, err := strconv.Atoi(l[7])
				if err != nil {
					t.Fatal(err)
				}
				h.Quality = uint8(quality)
			}
			row = append(row, h)
		}
		rows = append(rows, row)
	}
	if len(rows) < 170 {
		t.Fatalf("got %d rows of wordpress.csv", len(rows))
	}
	return rows
}

// TestWordpress wants every hash of the incident's pictures, each by itself.
func TestWordpress(t *testing.T) {
	missing := 0
	for _, row := range wordpress(t) {
		for _, h := range row {
			if _, ok := Builtin().Find(h, 31); !ok {
				missing++
				t.Errorf("%s is not in the list", h.Short())
			}
		}
	}
	t.Log(missing, "missing")
}

func exactHashes(data []byte) []feed.Hash {
	m, s, h := md5.Sum(data), sha1.Sum(data), sha256.Sum256(data)
	return []feed.Hash{{Alg: feed.MD5, Value: string(m[:])}, {Alg: feed.SHA1, Value: string(s[:])}, {Alg: feed.SHA256, Value: string(h[:])}}
}

var _ = fmt.Sprint
var _ = strings.Join
