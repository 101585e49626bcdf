package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"hashfeed/feed"
)

// Monitor is what the public audit of a node shows: anybody may see that a feed is one log for everyone, and how much was
// listed, retracted and disputed in it, and no hash.
type Monitor interface {
	// Monitored names the feeds that the operator shows.
	Monitored() []feed.Name
	// PublicFile returns a file of such a feed as a mirror has it (WIRE §10): "charter/1", "1/checkpoint", "1/seen/17",
	// "1/tile/…". An error that is fs.ErrNotExist: there is none. It never returns a body.
	PublicFile(name feed.Name, path string) ([]byte, error)
	// Audit counts the heads of such a feed, as far as it gets until ctx ends.
	Audit(ctx context.Context, name feed.Name) (Audit, error)
}

// Audit counts the heads of a feed that have an effect, by the month of their own time.
type Audit struct {
	Feed    string       `json:"feed"`
	Anchor  string       `json:"anchor"`
	Harm    string       `json:"harm"`
	Contact string       `json:"contact"`
	Answer  string       `json:"answer"` // how soon disputes are answered, by the charter
	Size    uint64       `json:"size"`   // heads in all logs
	Counted uint64       `json:"counted"`
	Void    uint64       `json:"void"` // heads without effect
	Total   AuditMonth   `json:"total"`
	Months  []AuditMonth `json:"months"` // the newest first
}

// AuditMonth counts the heads of one month.
type AuditMonth struct {
	Month      string            `json:"month,omitempty"` // 2026-11, UTC
	Listed     uint64            `json:"listed"`
	Revised    uint64            `json:"revised"`
	Reinstated uint64            `json:"reinstated"`
	Retracted  map[string]uint64 `json:"retracted"` // by reason
	Endorsed   uint64            `json:"endorsed"`
	Disputed   map[string]uint64 `json:"disputed"` // by reason
	Resolved   map[string]uint64 `json:"resolved"` // upheld, retracted
}

// NewMonitor returns the server of the public audit. It asks for no token and writes nothing. Whoever gets it calls Serve and Shutdown.
func NewMonitor(m Monitor, logger *slog.Logger) *http.Server {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	p := &publicDoor{m: m, log: logger, slots: make(chan struct{}, maxAudits)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.answer(p.page))
	mux.HandleFunc("GET /feed/{pub}/{feed}/counts", p.answer(p.counts))
	mux.HandleFunc("GET /feed/{pub}/{feed}/{path...}", p.answer(p.file))
	return &http.Server{Handler: mux, ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, WriteTimeout: 2 * stallTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug)}
}

type publicDoor struct {
	m     Monitor
	log   *slog.Logger
	slots chan struct{}
}

// answer bounds how many strangers are answered at once: the node's own work comes first.
func (p *publicDoor) answer(handle func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src '"+styleHash+"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		select {
		case p.slots <- struct{}{}:
			defer func() { <-p.slots }()
		default:
			h.Set("Retry-After", "1")
			writeProblem(w, errorf(http.StatusTooManyRequests, CodeBusy, "%d requests are being answered already", cap(p.slots)))
			return
		}
		if err := handle(w, r); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = errorf(http.StatusNotFound, CodeNotFound, "there is nothing here")
			}
			e := asError(err)
			if e.Status >= 500 {
				p.log.Error("monitor's request not answered", "err", err)
				e = errorf(e.Status, e.Code, "the node could not answer this; its log says why")
			}
			writeProblem(w, e)
		}
	}
}

// monitored returns the feed that a path names, if it is shown.
func (p *publicDoor) monitored(r *http.Request) (feed.Name, error) {
	name, err := feed.ParseName(r.PathValue("pub") + "/" + r.PathValue("feed"))
	if err != nil || !slices.Contains(p.m.Monitored(), name) {
		return "", fs.ErrNotExist
	}
	return name, nil
}

// file answers the C2SP tlog-tiles read path, and the charters with which a stranger checks it.
func (p *publicDoor) file(w http.ResponseWriter, r *http.Request) error {
	name, err := p.monitored(r)
	if err != nil {
		return err
	}
	path := r.PathValue("path")
	data, err := p.m.PublicFile(name, path)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch {
	case strings.Contains(path, "/tile/"):
		h.Set("Content-Type", octetType)
		h.Set("Cache-Control", "public, max-age=604800, immutable")
	case strings.HasSuffix(path, "/checkpoint"):
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
	default:
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	_, err = w.Write(data)
	return err
}

func (p *publicDoor) counts(w http.ResponseWriter, r *http.Request) error {
	name, err := p.monitored(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), auditTime)
	defer cancel()
	a, err := p.m.Audit(ctx, name)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, a)
}

//go:embed monitor.html monitor.css
var monitorFiles embed.FS

var (
	monitorStyle = mustRead("monitor.css")
	styleHash    = hashSource(monitorStyle)
	monitorPage  = template.Must(template.New("monitor.html").Funcs(template.FuncMap{
		"sum": sum, "reasons": reasons, "style": func() template.CSS { return template.CSS(monitorStyle) },
	}).ParseFS(monitorFiles, "monitor.html"))
)

func mustRead(name string) string {
	text, err := monitorFiles.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// hashSource is how a Content-Security-Policy names a text that may stand in the page (CSP 3 §2.3.1).
func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (p *publicDoor) page(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), auditTime)
	defer cancel()
	audits := []Audit{}
	for _, name := range p.m.Monitored() {
		a, err := p.m.Audit(ctx, name)
		if err != nil {
			return err
		}
		audits = append(audits, a)
	}
	var page bytes.Buffer
	if err := monitorPage.Execute(&page, audits); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, err := w.Write(page.Bytes())
	return err
}

func sum(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// reasons is counts in words, the most frequent reason first.
func reasons(counts map[string]uint64) string {
	names := slices.Collect(maps.Keys(counts))
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b)) })
	for i, name := range names {
		names[i] = name + " " + strconv.FormatUint(counts[name], 10)
	}
	return strings.Join(names, ", ")
}
