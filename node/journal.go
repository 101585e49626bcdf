package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/prometheus/client_golang/prometheus"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/journal"
)

// Keeping is how long the journal keeps what, in days. Whatever the terms, no line holds a hash, a file name or a user: hashes are keyed. What
// people did about decisions is kept as long as the longer of block and review, counts and the lines of imports for ever.
type Keeping struct {
	// Block is how long a decision that blocked is kept. Default 183: six months. What is gone can't be shown to a user who complains, nor
	// counted again; ask a lawyer before you change it.
	Block int `toml:"block" json:"block"`

	// Review is how long a decision that a person was to look at is kept. Default 183.
	Review int `toml:"review" json:"review"`

	// Log is how long a decision that was only logged is kept. Default 183: policy test replays them.
	Log int `toml:"log" json:"log"`

	// OldUploads keeps a line of each upload that matched nothing, so that journal affected finds those that were let in before a record was
	// listed. Default false: allowed uploads are counted and nothing else. It takes 300 bytes an upload, and holds data about everybody.
	OldUploads bool `toml:"old_uploads" json:"old_uploads"`

	// Uploads is how long these are kept. Default 30.
	Uploads int `toml:"uploads" json:"uploads"`
}

// defaultKeeping is half a year, and a month.
var defaultKeeping = Keeping{Block: 183, Review: 183, Log: 183, Uploads: 30}

func (k Keeping) check() (problems []error) {
	for _, v := range []struct {
		key  string
		days int
	}{{"block", k.Block}, {"review", k.Review}, {"log", k.Log}, {"uploads", k.Uploads}} {
		if v.days < 1 || v.days > maxJournalDays {
			problems = append(problems, fmt.Errorf("[journal] %s %d: want 1 to %d days", v.key, v.days, maxJournalDays))
		}
	}
	return problems
}

func (k Keeping) terms() journal.Keep {
	const day = 24 * time.Hour
	return journal.Keep{Block: time.Duration(k.Block) * day, Review: time.Duration(k.Review) * day, Log: time.Duration(k.Log) * day,
		Uploads: time.Duration(k.Uploads) * day}
}

// openJournal opens the journal, when the store's lock says that nobody else has it.
func (n *Node) openJournal() (err error) {
	if n.journalKey, err = n.keys.journalSecret(); err != nil {
		return err
	}
	n.journal, err = journal.Open(journal.Options{Dir: n.dir.journal(), Key: n.journalKey, Now: n.now, Logger: n.log, Room: n.journalRoom})
	return err
}

// journalRoom is why the disk has no room for the journal. It may go deeper into the reserve than the store, which needs it to shut down well.
func (n *Node) journalRoom() error {
	free, err := n.store.FreeSpace()
	if least := uint64(n.config.Load().Limits.Reserve) / 4; err == nil && free < least {
		return fmt.Errorf("%s free, the journal wants %s", humanize.IBytes(free), humanize.IBytes(least))
	}
	return nil // an error is for the write to tell
}

// journalSecret is the key that the journal's hashes and heads are under: of the key that signs its receipts, so that it is sealed, kept and
// restored with it.
func (k *keyring) journalSecret() (journal.Key, error) {
	return journal.DeriveKey(k.journal.Ed25519().Seed())
}

// purgeJournal takes out what the journal has kept long enough, once a day.
func (n *Node) purgeJournal(ctx context.Context) {
	tick := time.NewTicker(journalPurge)
	defer tick.Stop()
	for {
		gone, err := n.journal.Purge(ctx, n.config.Load().Journal.terms())
		if err != nil && ctx.Err() == nil {
			n.log.Error("purge journal", "err", err)
		} else if gone > 0 {
			n.log.Info("journal purged", "lines", gone)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

const (
	journalPurge = 24 * time.Hour
	alarmJournal = "journal"
)

// journalAlarms are what the journal asks an operator to look at.
func (n *Node) journalAlarms(say func(code, about, text, remedy string, since time.Time)) {
	n.owedAlarm(say)
	s := n.journal.State()
	if s.Err != nil {
		say(alarmJournal, "", fmt.Sprintf("decisions aren't written down, and answers go on: %v", s.Err),
			"free disk space, or mend the disk under DIR/journal; it goes on by itself then", s.Since)
	}
	if s.Missed > 0 {
		say(alarmJournal, "", fmt.Sprintf("%d decisions since the start aren't in the journal", s.Missed), "look for a full or slow disk; the journal notes the gap", n.opened)
	}
	if s.Damage != "" {
		say(alarmJournal, "", "the journal wasn't as it was left: "+s.Damage, "hashfeed journal verify; keep a copy of DIR/journal, and of the last backup", n.opened)
	}
}

// journalMetrics tells Prometheus how the journal is.
type journalMetrics struct{ n *Node }

var (
	journalUp     = prometheus.NewDesc("hashfeed_journal_up", "1 while decisions are written down; 0: answers go on without.", nil, nil)
	journalMissed = prometheus.NewDesc("hashfeed_journal_missed_total", "Decisions that aren't in the journal, since the start.", nil, nil)
	journalLate   = prometheus.NewDesc("hashfeed_journal_late_total", "Blocks that were answered before their line was on disk, since the start.", nil, nil)
)

func (m journalMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{journalUp, journalMissed, journalLate} {
		out <- d
	}
}

func (m journalMetrics) Collect(out chan<- prometheus.Metric) {
	if m.n.journal == nil {
		return
	}
	s, up := m.n.journal.State(), 1.0
	if s.Err != nil {
		up = 0
	}
	out <- prometheus.MustNewConstMetric(journalUp, prometheus.GaugeValue, up)
	out <- prometheus.MustNewConstMetric(journalMissed, prometheus.CounterValue, float64(s.Missed))
	out <- prometheus.MustNewConstMetric(journalLate, prometheus.CounterValue, float64(s.Late))
}

// Decision is one decision, with what people did about it.
func (n *Node) Decision(ctx context.Context, id string) (api.JournalEntry, error) {
	e, err := n.findDecision(ctx, id)
	if err != nil {
		return api.JournalEntry{}, err
	}
	return api.EntryOf(e), nil
}

func (n *Node) findDecision(ctx context.Context, id string) (journal.Entry, error) {
	if !journal.ValidID(id) {
		return journal.Entry{}, badRequest(fmt.Errorf("%.40q is no id of a decision: want 26 letters and digits", id))
	}
	e, err := n.journal.Find(ctx, id)
	if errors.Is(err, journal.ErrNotFound) {
		return e, notFound("%s: %v", id, err)
	}
	return e, err
}

// Act records what people did about a decision.
func (n *Node) Act(ctx context.Context, id string, r api.JournalAct) (api.JournalEntry, error) {
	e, err := n.findDecision(ctx, id)
	if err != nil {
		return api.JournalEntry{}, err
	}
	if err := r.Check(); err != nil {
		return api.JournalEntry{}, err
	}
	l, err := n.journal.Acted(ctx, journal.Act{Of: id, Done: r.Done, Report: r.Report, Tells: journal.TellsOf(r.Done, e.Acts), Harm: e.Decision.Harm, Test: e.Decision.Test})
	if err != nil {
		return api.JournalEntry{}, &api.Error{Status: http.StatusServiceUnavailable, Code: api.CodeNotReady, Text: err.Error(), Hint: "hashfeed status"}
	}
	e.Acts = append(e.Acts, l)
	return api.EntryOf(e), nil
}

// Affected are the decisions that a record's item had a part in, and the allowed uploads, where such are kept, that have a hash of it.
func (n *Node) Affected(ctx context.Context, ref feed.Ref) (a api.JournalAffected, err error) {
	a = api.JournalAffected{Ref: ref.String(), Entries: []api.JournalEntry{}, Uploads: []api.JournalUpload{}}
	refs, hashes := []string{ref.String()}, []string{}
	if v := n.viewNamed(ref.Origin.Name()); v != nil && v.state != nil {
		item, ok := v.state.ItemAt(ref.Position())
		if !ok {
			return a, notFound("there is no record %s of an item", ref)
		}
		refs = refs[:0]
		for _, p := range v.state.Item(item).Records() {
			r := v.name.Ref(p)
			refs = append(refs, r.String())
			record, err := n.store.Record(r.Origin, r.Index)
			if err != nil {
				continue // its hashes aren't here; its reference is
			}
			if body, err := feed.ParseBody(record.Body); err == nil {
				for _, k := range n.keyed(body.Hashes) {
					if !slices.Contains(hashes, k) {
						hashes = append(hashes, k)
					}
				}
			}
		}
	} // a feed that is followed no more has decisions all the same
	decisions, uploads, more, err := n.journal.Affected(ctx, refs, hashes)
	if err != nil {
		return a, err
	}
	a.More = more
	for _, e := range decisions {
		a.Entries = append(a.Entries, api.EntryOf(e))
	}
	for _, e := range uploads {
		a.Uploads = append(a.Uploads, api.JournalUpload{Upload: e.ID, Time: e.Time, Ref: e.Upload.Ref})
	}
	return a, nil
}

// JournalStats are the counts of a time.
func (n *Node) JournalStats(ctx context.Context, since, until time.Time) (s api.JournalStats, err error) {
	hours, err := n.journal.Hours(ctx, since, until)
	if err != nil {
		return s, err
	}
	s = api.JournalStats{Since: since, Until: until, Hours: append([]journal.Counts{}, hours...), Days: append([]journal.Counts{}, journal.Days(hours)...),
		Harms: map[string]api.JournalHarm{}, Missed: n.journal.State().Missed}
	sum := journal.Counts{}
	for _, h := range hours {
		sum.Add(h)
	}
	s.Allow, s.Test = sum.Allow, sum.Test
	for harm, t := range sum.Harms {
		s.Harms[harm] = api.HarmOf(t)
	}
	return s, nil
}
