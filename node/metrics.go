package node

import (
	"github.com/prometheus/client_golang/prometheus"
)

// feedStates are the words for a feed's state, each a series of its own: 1 for the one that holds.
var feedStates = []string{"ok", "stale", "frozen", "behind", "waiting", "expired"}

// feedMetrics tells Prometheus how each feed stands, at the moment that it asks.
type feedMetrics struct{ n *Node }

var (
	feedAge = prometheus.NewDesc("hashfeed_feed_age_seconds",
		"Age of a feed's newest stamp; below zero: it is that far in the future, and beyond -300 isn't counted as fresh.", []string{"feed"}, nil)
	feedMaxAge = prometheus.NewDesc("hashfeed_feed_max_age_seconds",
		"The age from which on answers call a feed stale (soft), or act with restraint (hard).", []string{"feed", "limit"}, nil)
	feedState  = prometheus.NewDesc("hashfeed_feed_state", "1 for the state that a feed is in.", []string{"feed", "state"}, nil)
	feedSize   = prometheus.NewDesc("hashfeed_feed_size", "Records of a feed's current log.", []string{"feed"}, nil)
	feedActive = prometheus.NewDesc("hashfeed_feed_active_size", "Below this record additions of a feed count: what the quorum has seen.", []string{"feed"}, nil)
)

func (m feedMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{feedAge, feedMaxAge, feedState, feedSize, feedActive} {
		out <- d
	}
}

func (m feedMetrics) Collect(out chan<- prometheus.Metric) {
	now := m.n.now()
	for _, v := range *m.n.views.Load() {
		if v == nil || v.state == nil {
			continue
		}
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{string(v.name)}, labels...)...)
		}
		r := v.reading.Load()
		charter := r.chain.Newest()
		if !r.head.IsZero() {
			gauge(feedAge, float64(now.Unix()-r.head.Stamp))
		}
		gauge(feedMaxAge, charter.SoftAge.Duration().Seconds(), "soft")
		gauge(feedMaxAge, charter.HardAge.Duration().Seconds(), "hard")
		gauge(feedSize, float64(r.head.Size))
		gauge(feedActive, float64(r.limit))
		state, _ := m.n.stateOf(v, now)
		for _, s := range feedStates {
			value := 0.0
			if s == state {
				value = 1
			}
			gauge(feedState, value, s)
		}
	}
}
