package store

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the store counts. Sizes and free space are read when they are asked for.
type metrics struct {
	commits        prometheus.Counter
	failed         prometheus.Counter
	records        prometheus.Counter
	bytes          prometheus.Counter
	followerErrors prometheus.Counter
	seconds        prometheus.Histogram

	registered prometheus.Registerer
	all        []prometheus.Collector
}

func newMetrics(r prometheus.Registerer, s *Store) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "hashfeed", Subsystem: "store", Name: name, Help: help})
	}
	m := &metrics{
		commits:        counter("commits_total", "Commits that became durable."),
		failed:         counter("commit_errors_total", "Commits that were refused or failed, and those that a follower couldn't apply."),
		records:        counter("records_total", "Records committed."),
		bytes:          counter("written_bytes_total", "Sealed bytes given to the database."),
		followerErrors: counter("follower_errors_total", "Events that a follower couldn't apply."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "hashfeed", Subsystem: "store", Name: "commit_seconds",
			Help: "Time of a commit, fsyncs and followers included.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
		registered: r,
	}
	m.all = []prometheus.Collector{m.commits, m.failed, m.records, m.bytes, m.followerErrors, m.seconds, sizes{s}}
	if r == nil {
		return m, nil
	}
	for i, c := range m.all {
		if err := r.Register(c); err != nil {
			m.all = m.all[:i]
			m.unregister()
			return nil, err
		}
	}
	return m, nil
}

// unregister takes the metrics back, so that a store can be opened again in the same process.
func (m *metrics) unregister() {
	if m.registered == nil {
		return
	}
	for _, c := range m.all {
		m.registered.Unregister(c)
	}
}

// sizes collects what is known about each log at the moment.
type sizes struct{ s *Store }

var (
	fetchedDesc = prometheus.NewDesc("hashfeed_store_records", "Records held of a log.", []string{"log"}, nil)
	headDesc    = prometheus.NewDesc("hashfeed_store_head_size", "Size of the newest adopted checkpoint of a log.", []string{"log"}, nil)
	stampDesc   = prometheus.NewDesc("hashfeed_store_head_stamp_seconds", "Its stamp, Unix seconds.", []string{"log"}, nil)
	damagedDesc = prometheus.NewDesc("hashfeed_store_damaged", "1 if what is on the disk of a feed isn't what was acknowledged.", []string{"feed"}, nil)
	unwellDesc  = prometheus.NewDesc("hashfeed_store_unwell", "1 if a write failed and the store must be opened again.", nil, nil)
	freeDesc    = prometheus.NewDesc("hashfeed_store_free_bytes", "Free space of the disk.", nil, nil)
)

func (sizes) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{fetchedDesc, headDesc, stampDesc, damagedDesc, unwellDesc, freeDesc} {
		ch <- d
	}
}

func (c sizes) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	for name, h := range *c.s.held.Load() {
		gauge(damagedDesc, flag(len(h.damages) > 0), string(name))
		for _, l := range h.logs {
			gauge(fetchedDesc, float64(l.size), string(l.origin))
			if l.hasHead {
				gauge(headDesc, float64(l.head.Size), string(l.origin))
				gauge(stampDesc, float64(l.head.Stamp), string(l.origin))
			}
		}
	}
	gauge(unwellDesc, flag(errors.Is(c.s.Unwell(), ErrUnwell)))
	if free, err := c.s.free(c.s.dir); err == nil {
		gauge(freeDesc, float64(free))
	}
}
