package node

import (
	"testing"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// BenchmarkAnswers is what BenchmarkMatchHTTP's thousand hashes cost without HTTP: all of them, those that are not listed, and the ten that are,
// logged.
func BenchmarkAnswers(b *testing.B) {
	n, err := benchNode()
	if err != nil {
		b.Fatal(err)
	}
	actOn(n, policy.Log)
	var all, misses, hits []feed.Hash
	_, _, bodies := benchBodies(1000, 100)
	octets := bodies[0]
	for i := range 1000 {
		h := feed.Hash{Alg: feed.SHA256, Value: string(octets[32*i : 32*i+32])}
		all = append(all, h)
		if i%100 == 50 {
			hits = append(hits, h)
		} else {
			misses = append(misses, h)
		}
	}
	for _, c := range []struct {
		name   string
		hashes []feed.Hash
	}{{"all", all}, {"misses", misses}, {"hits", hits}, {"one", misses[:1]}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			hashes := feed.HashesOf(c.hashes)
			for b.Loop() {
				answers, err := n.Answers(b.Context(), hashes)
				if err != nil || answers.Len() != len(c.hashes) {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(c.hashes)), "ns/hash")
		})
	}
}
