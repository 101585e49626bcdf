package notify

import "github.com/prometheus/client_golang/prometheus"

// metrics tells Prometheus how it goes with each target, at the moment that it asks.
type metrics struct{ n *Notifier }

var (
	deliveredDesc = prometheus.NewDesc("hashfeed_notify_delivered_total", "Messages that a target of [[notify]] has taken.", []string{"target"}, nil)
	failedDesc    = prometheus.NewDesc("hashfeed_notify_failed_total", "Attempts to deliver one that failed; each is made again.", []string{"target"}, nil)
	droppedDesc   = prometheus.NewDesc("hashfeed_notify_dropped_total", "Messages that were given up, or had no room in the queue.", []string{"target"}, nil)
	waitingDesc   = prometheus.NewDesc("hashfeed_notify_waiting", "Messages that wait to be delivered.", []string{"target"}, nil)
	lostDesc      = prometheus.NewDesc("hashfeed_notify_lost_total", "Messages that came faster than they could be written to the disk.", nil, nil)
)

func (m metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{deliveredDesc, failedDesc, droppedDesc, waitingDesc, lostDesc} {
		out <- d
	}
}

func (m metrics) Collect(out chan<- prometheus.Metric) {
	m.n.mu.RLock()
	defer m.n.mu.RUnlock()
	for _, t := range m.n.targets {
		count := func(d *prometheus.Desc, v uint64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), t.Name)
		}
		count(deliveredDesc, t.delivered.Load())
		count(failedDesc, t.failed.Load())
		count(droppedDesc, t.dropped.Load())
		waiting, _ := t.queue.state()
		out <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(waiting), t.Name)
	}
	if len(m.n.targets) > 0 {
		out <- prometheus.MustNewConstMetric(lostDesc, prometheus.CounterValue, float64(m.n.lost.Load()))
	}
}
