package gossip

import "github.com/prometheus/client_golang/prometheus"

// held is how much is kept in memory about others, as a metric: what a flood would fill. The bounds stand in limits.go.
type held struct {
	n    *Network
	desc *prometheus.Desc
}

func newHeld(n *Network) held {
	return held{n, prometheus.NewDesc("hashfeed_gossip_held", "What is kept in memory about other nodes, by what it is.", []string{"what"}, nil)}
}

// Describe is a prometheus.Collector's.
func (h held) Describe(ch chan<- *prometheus.Desc) { ch <- h.desc }

// Collect is a prometheus.Collector's.
func (h held) Collect(ch chan<- prometheus.Metric) {
	for what, n := range h.n.held() {
		ch <- prometheus.MustNewConstMetric(h.desc, prometheus.GaugeValue, float64(n), what)
	}
}

// held counts. Of what every link and every feed has its own of, it is all together.
func (n *Network) held() map[string]int {
	count := map[string]int{}
	n.book.mu.Lock()
	count["addresses"], count["strangers"] = len(n.book.all), len(n.book.strangers)
	n.book.mu.Unlock()
	n.mu.Lock()
	count["dials"] = len(n.dials)
	n.mu.Unlock()
	links, carriers := n.everyLink(), n.everyCarrier()
	count["links"], count["feeds"] = len(links), len(carriers)
	for _, l := range links {
		l.mu.Lock()
		count["claims"] += len(l.claims)
		count["suspensions told"] += len(l.told)
		count["debts"] += len(l.debts.news)
		for _, sizes := range l.debts.heads {
			count["debts"] += len(sizes)
		}
		l.mu.Unlock()
	}
	for _, c := range carriers {
		c.mu.Lock()
		for _, t := range c.targets {
			count["heads ahead"] += 1 + len(t.more)
		}
		count["bodies missing"] += len(c.missing)
		c.mu.Unlock()
	}
	return count
}
