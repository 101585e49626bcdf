package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"hashfeed/feed"
)

// TestDisputeHolds: who holds a record by a dispute, and when.
func TestDisputeHolds(t *testing.T) {
	const pub, day = "eokm.example", 24 * time.Hour
	now := time.Unix(10_000_000, 0)
	ago := func(d time.Duration) int64 { return now.Unix() - int64(d/time.Second) }
	by := func(publisher string) Dispute { return Dispute{Publisher: publisher, At: ago(time.Hour)} }
	own := Dispute{Publisher: "host.example", Own: true, At: ago(0)}
	report := Dispute{Publisher: pub, Report: true, At: ago(time.Hour)}
	late := func(d Dispute, age time.Duration) Dispute { d.At = ago(age); return d }
	for _, c := range []struct {
		name               string
		list               []Dispute
		baseline, national Hold
	}{
		{"none", nil, 0, 0},
		{"our own", []Dispute{own}, HoldDisputed, HoldDisputed},
		{"one publisher", []Dispute{by("a.example")}, 0, HoldDisputed},
		{"two feeds of one", []Dispute{by("a.example"), by("a.example")}, 0, HoldDisputed},
		{"two publishers", []Dispute{by("a.example"), by("b.example")}, HoldDisputed, HoldDisputed},
		{"its own publisher", []Dispute{by(pub)}, HoldDisputed, HoldDisputed},
		{"a member", []Dispute{report}, 0, 0},
		{"many members and a publisher", []Dispute{report, report, by("a.example")}, 0, HoldDisputed},
		{"a member, to the second", []Dispute{late(report, 2*day)}, 0, 0},
		{"a member, unanswered", []Dispute{late(report, 2*day+time.Second)}, HoldOverdue, HoldOverdue},
		{"a publisher, unanswered", []Dispute{late(by("a.example"), 3*day)}, HoldOverdue, HoldOverdue | HoldDisputed},
		{"from the future", []Dispute{late(by("a.example"), -day)}, 0, HoldDisputed},
	} {
		t.Run(c.name, func(t *testing.T) {
			for verdict, want := range map[feed.Verdict]Hold{feed.Baseline: c.baseline, feed.National: c.national, feed.Doubtful: c.national} {
				if got := DisputeHolds(c.list, pub, verdict, 2*day, now); got != want {
					t.Errorf("%s: got %b, want %b", verdict, got, want)
				}
			}
		})
	}
}

// TestDisputesOnlyHold: one more dispute and one more second never hold less.
func TestDisputesOnlyHold(t *testing.T) {
	dispute := rapid.Custom(func(t *rapid.T) Dispute {
		return Dispute{Publisher: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "by"), Own: rapid.Bool().Draw(t, "own"),
			Report: rapid.Bool().Draw(t, "report"), At: rapid.Int64Range(0, 500_000).Draw(t, "at")}
	})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(dispute, 0, 5).Draw(t, "list")
		verdict := rapid.SampledFrom([]feed.Verdict{feed.Baseline, feed.National}).Draw(t, "verdict")
		now := rapid.Int64Range(0, 500_000).Draw(t, "now")
		less := DisputeHolds(list, "a", verdict, time.Hour*48, time.Unix(now, 0))
		more := DisputeHolds(append(list, dispute.Draw(t, "one more")), "a", verdict, time.Hour*48, time.Unix(now+rapid.Int64Range(0, 9).Draw(t, "later"), 0))
		if less&^more != 0 {
			t.Errorf("held by %b, then by %b", less, more)
		}
	})
}
