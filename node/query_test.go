package node

import (
	"context"
	"fmt"
	"testing"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/match"
)

// TestConfirmed: where the tables take a value for another, the records decide. What the hash of a table would do once in 2^52, two
// entries here do.
func TestConfirmed(t *testing.T) {
	d := newDesk(t)
	d.list(0)
	taken := func(n int, v *view) {
		t.Helper()
		h, err := feed.ParseHash(hashOf(n))
		d.must(err)
		d.must(d.Node.tables.Add(match.MD5, h.Bytes(), v.id(0)))
	}
	taken(1, d.viewNamed("hotline.example/known"))
	taken(2, (*d.views.Load())[0]) // the test picture's
	d.want("taken for another", map[int]string{0: "block active", 1: "allow", 2: "allow"})

	again, err := d.Publish(context.Background(), api.Publish{Items: []api.Item{{Hashes: []string{hashOf(0)}, Verdict: "national", Media: "image"}}})
	d.must(err)
	if again[0].Duplicate == "" {
		t.Errorf("a thing that is listed: got %+v, want a duplicate", again[0])
	}
	d.list(1, 2)
	d.want("listed", map[int]string{0: "block active", 1: "block active", 2: "block active"})
}

// TestPhotoDNA: a neighbour counts up to the distance of its feed's rule, by default not at all.
func TestPhotoDNA(t *testing.T) {
	d := newDesk(t)
	value := make([]byte, 144)
	for i := range value {
		value[i] = byte(3 * i)
	}
	_, err := d.Publish(context.Background(), api.Publish{Items: []api.Item{{Hashes: []string{fmt.Sprintf("photodna:%x", value)}, Verdict: "national", Media: "image"}}})
	d.must(err)
	near := append([]byte(nil), value...)
	near[5], near[140] = value[5]+100, value[140]-4 // 10,016
	for _, c := range []struct {
		most     int // of the rule
		query    []byte
		verdict  string
		distance int
	}{
		{0, value, "block", 0},
		{0, near, "allow", 0},
		{10_015, near, "allow", 0},
		{10_016, near, "review", 10_016},
		{maxSquare, near, "review", 10_016},
		{maxSquare, value, "block", 0},
		{maxSquare, make([]byte, 144), "allow", 0},
	} {
		config := *d.config.Load()
		config.Own.ActionNear, config.Own.MaxSquare = "review", c.most
		d.config.Store(&config)
		d.decide()
		verdicts, err := d.Match(context.Background(), []feed.Hash{{Alg: feed.PhotoDNA, Value: string(c.query)}}, false)
		d.must(err)
		v := verdicts[0]
		if string(v.Verdict) != c.verdict || (len(v.Matches) == 0) != (c.verdict == "allow") || len(v.Matches) == 1 && v.Matches[0].Distance != c.distance {
			t.Errorf("within %d: got %+v, want %s at distance %d", c.most, v, c.verdict, c.distance)
		}
	}
}
