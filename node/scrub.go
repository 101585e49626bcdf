package node

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"hashfeed/feed/store"
)

// The scrub is fsck of the store, in the background of a running daemon: what nobody reads for a year is read nevertheless, before the last good
// copy of it is gone elsewhere. It mends nothing: an alarm names the command that does.

const (
	// scrubEvery is how long it is from the end of one walk to the next.
	scrubEvery = 7 * 24 * time.Hour
	// scrubFirst is within what time of the start the first walk begins, at random: nodes that were started together don't all read at once.
	scrubFirst = time.Hour
	// scrubRate is how many bytes a second are read, so that nobody notices: a feed of ten million records, 3 GB, takes half an hour.
	scrubRate = 2 << 20
	// scrubBurst is what may be read at once: more than the largest bundle.
	scrubBurst = 4 << 20
)

// scrub walks the store again and again until ctx ends.
func (n *Node) scrub(ctx context.Context) {
	wait := time.NewTimer(rand.N(scrubFirst))
	defer wait.Stop()
	limit := rate.NewLimiter(scrubRate, scrubBurst)
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		n.scrubOnce(ctx, func(bytes int) error { return limit.WaitN(ctx, min(bytes, scrubBurst)) })
		wait.Reset(scrubEvery)
	}
}

// scrubOnce walks the store once. pace is called with the bytes that were read; its error ends the walk.
func (n *Node) scrubOnce(ctx context.Context, pace func(bytes int) error) {
	begun, found, walks := n.now(), 0, n.care.count()
	err := n.store.Scrub(ctx, pace, func(f store.Finding) {
		found++
		n.log.Error("scrub: damaged", "feed", string(f.Feed), "log", f.Log, "kind", f.Kind, "number", f.Number, "err", f.Err)
	})
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		n.log.Error("scrub can't finish", "err", err)
		return
	}
	if n.care.count() != walks {
		return // fsck was faster
	}
	n.care.walked(found, n.now())
	n.log.Info("scrub finished", "findings", found, "seconds", n.now().Sub(begun).Seconds())
}

// careMetrics show what the last walk found.
type careMetrics struct{ *care }

var (
	scrubFindings = prometheus.NewDesc("hashfeed_store_scrub_findings", "Damaged values that the last walk through everything stored found.", nil, nil)
	scrubFinished = prometheus.NewDesc("hashfeed_store_scrub_finished_seconds", "When it finished, Unix seconds; 0: none has yet.", nil, nil)
)

func (careMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- scrubFindings
	ch <- scrubFinished
}

func (c careMetrics) Collect(ch chan<- prometheus.Metric) {
	findings, _, finished := c.last()
	at := 0.0
	if !finished.IsZero() {
		at = float64(finished.Unix())
	}
	ch <- prometheus.MustNewConstMetric(scrubFindings, prometheus.GaugeValue, float64(findings))
	ch <- prometheus.MustNewConstMetric(scrubFinished, prometheus.GaugeValue, at)
}
