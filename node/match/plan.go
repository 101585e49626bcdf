package match

import "math"

// A plan is how far to look in each chunk for one distance: radius t_i for chunk
// i, -1 for not at all, with Σ(t_i+1) = distance+1; and what that should cost.
type plan struct {
	radius []int8
	cost   float64 // ns
}

// Costs in ns, measured on data that is in the processor's nearest caches. They
// only need to be right relative to each other.
const (
	costWord      = 1.6 // a word of a bitmap
	costKey       = 9.0 // a key that is present: its rank and slot
	costCandidate = 9.0 // a value read and compared
	costScanned   = 1.3 // a value read in order and compared, from wherever it is
	costListed    = 2.5 // a value read by way of a list of rows and compared
)

// distant is how many times as much reads at random cost in an index over n values,
// which is the larger the farther from the processor.
func distant(n int) float64 {
	switch {
	case n < 16_000:
		return 1.4
	case n < 256_000:
		return 3
	}
	return 6
}

// maxRadius bounds the radius in one chunk: within 7 of 28 bits are 1.7 million
// keys, more than a scan would ever cost.
const maxRadius = 7

// plan finds the cheapest radii for every distance, by dynamic programming: best
// of the chunks so far for each value of Σ(t_i+1).
func (p *part) plan() {
	const sums = MaxDistance + 2
	best := [sums]float64{}
	for i := 1; i < sums; i++ {
		best[i] = math.Inf(1)
	}
	choice := make([][sums]int8, len(p.chunks))
	for i := range p.chunks {
		var cost [maxRadius + 2]float64 // by t+1
		for t := 0; t <= maxRadius; t++ {
			cost[t+1] = p.chunks[i].cost(t, p.n)
		}
		next := [sums]float64{}
		for sum := range next {
			next[sum] = math.Inf(1)
			for u := 0; u <= min(sum, maxRadius+1); u++ {
				if c := best[sum-u] + cost[u]; c < next[sum] {
					next[sum], choice[i][sum] = c, int8(u)
				}
			}
		}
		best = next
	}
	for d := range p.plans {
		sum := d + 1
		pl := plan{radius: make([]int8, len(p.chunks)), cost: best[sum]}
		for i := len(p.chunks) - 1; i >= 0; i-- {
			u := int(choice[i][sum])
			pl.radius[i] = int8(u - 1)
			sum -= u
		}
		p.plans[d] = pl
	}
}

// cost estimates what looking at all keys within t bits costs, for n values whose
// keys are spread evenly.
func (c *chunk) cost(t, n int) float64 {
	words, keys := 0.0, 0.0
	for j := range t + 1 {
		words += binomial(int(c.width)-6, j)
		keys += binomial(int(c.width), j)
	}
	share := 1 / float64(uint64(1)<<c.width)
	cost := costWord*words + costKey*keys*float64(c.keys)*share + costCandidate*keys*float64(n)*share
	return distant(n) * cost
}

func binomial(n, k int) float64 {
	b := 1.0
	for i := range k {
		b *= float64(n-i) / float64(i+1)
	}
	return b
}
