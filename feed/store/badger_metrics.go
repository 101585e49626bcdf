package store

import (
	"expvar"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// BadgerCollector collects what Badger counts about itself. It does so for all databases of the process together, as expvars; those that are maps
// get a label.
type BadgerCollector struct{}

// Describe tells nothing: which there are, only Badger knows.
func (BadgerCollector) Describe(chan<- *prometheus.Desc) {}

func (BadgerCollector) Collect(ch chan<- prometheus.Metric) {
	expvar.Do(func(kv expvar.KeyValue) {
		if !strings.HasPrefix(kv.Key, "badger_") {
			return
		}
		help := "Badger's own " + kv.Key + "."
		switch v := kv.Value.(type) {
		case *expvar.Int:
			ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(kv.Key, help, nil, nil), prometheus.UntypedValue, float64(v.Value()))
		case *expvar.Map:
			desc := prometheus.NewDesc(kv.Key, help, []string{"of"}, nil)
			v.Do(func(part expvar.KeyValue) {
				if n, ok := part.Value.(*expvar.Int); ok {
					ch <- prometheus.MustNewConstMetric(desc, prometheus.UntypedValue, float64(n.Value()), part.Key)
				}
			})
		}
	})
}
