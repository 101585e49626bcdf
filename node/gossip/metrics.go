package gossip

import "github.com/prometheus/client_golang/prometheus"

// metrics are what this package counts. libp2p's own go to the same registry.
type metrics struct {
	links     prometheus.Gauge
	refused   prometheus.Counter
	offences  *prometheus.CounterVec
	heads     *prometheus.CounterVec
	records   prometheus.Counter
	fetched   prometheus.Counter
	served    prometheus.Counter
	fetchTime prometheus.Histogram
	cosigned  prometheus.Counter
	receipts  prometheus.Counter
}

// newMetrics registers them; a nil registerer is left out.
func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "hashfeed", Subsystem: "gossip", Name: name, Help: help})
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "hashfeed", Subsystem: "gossip", Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		links:    prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "hashfeed", Subsystem: "gossip", Name: "peers", Help: "Peers connected."}),
		refused:  counter("refused_total", "Connections of outsiders that were refused."),
		offences: vector("offences_total", "Breaches of the protocol by peers, by kind: lie, rule.", "kind"),
		heads:    vector("heads_total", "Heads received from and pushed to peers.", "way"),
		records:  counter("records_total", "Records fetched, verified and stored."),
		fetched:  counter("fetched_bytes_total", "Bytes of tiles and bundles fetched."),
		served:   counter("served_bytes_total", "Bytes of tiles and bundles served."),
		fetchTime: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "hashfeed", Subsystem: "gossip", Name: "fetch_seconds",
			Help: "Time from a signed head to its records being stored.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 10)}),
		cosigned: counter("cosignatures_total", "Cosignatures delivered to publishers."),
		receipts: counter("receipts_total", "Cosignatures of members received for own feeds."),
	}
	if r != nil {
		r.MustRegister(m.links, m.refused, m.offences, m.heads, m.records, m.fetched, m.served, m.fetchTime, m.cosigned, m.receipts)
	}
	return m
}
