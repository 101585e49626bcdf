package api

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hashfeed_api_requests_total", Help: "Requests answered, by route and HTTP status."}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hashfeed_api_request_seconds", Help: "Time from a request's headers to the end of its answer, by route.",
			Buckets: []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30}}, []string{"route"}),
	}
	r.MustRegister(m.requests, m.seconds)
	return m
}

// routeMetrics are the counters of one route, without a search for them at each request.
type routeMetrics struct {
	all     *metrics
	path    string
	once    sync.Once          // a route that was never asked isn't shown
	ok      prometheus.Counter // of status 200: nearly all
	seconds prometheus.Observer
}

func (m *metrics) route(path string) *routeMetrics { return &routeMetrics{all: m, path: path} }

func (m *routeMetrics) count(status int, took time.Duration) {
	m.once.Do(func() {
		m.seconds = m.all.seconds.WithLabelValues(m.path)
		m.ok = m.all.requests.WithLabelValues(m.path, "200")
	})
	if status == 200 {
		m.ok.Inc()
	} else {
		m.all.requests.WithLabelValues(m.path, strconv.Itoa(status)).Inc()
	}
	m.seconds.Observe(took.Seconds())
}
