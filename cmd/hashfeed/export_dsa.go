package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	"hashfeed/node/api"
)

// dsaColumns are the figures that a host needs for the part of its DSA transparency report (Implementing Regulation (EU) 2024/2835) on what it
// did on its own initiative by automated means: how many, what came of it, and how often it was wrong, a row each category.
var dsaColumns = []string{"period_start", "period_end", "category", "keyword", "items_checked", "items_detected", "measures_taken",
	"items_for_human_review", "items_human_reviewed", "items_found_wrong", "error_rate", "accuracy_rate", "reports_to_authorities"}

// dsaCategories are the codes of the DSA's categories for the harms that a feed can list.
var dsaCategories = []struct{ harm, category, keyword string }{
	{"csam", "STATEMENT_CATEGORY_PROTECTION_OF_MINORS", "KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL"},
	{"ncii", "STATEMENT_CATEGORY_CYBER_VIOLENCE", "KEYWORD_NON_CONSENSUAL_IMAGE_SHARING"},
	{"tvec", "STATEMENT_CATEGORY_RISK_FOR_PUBLIC_SECURITY", "KEYWORD_TERRORIST_CONTENT"},
}

// exportDSA writes the counts of a time as CSV (RFC 4180, UTF-8); zero times are no bounds. A rate is empty where people acted on nothing.
func exportDSA(ctx context.Context, door api.Verbs, since, until time.Time, w io.Writer) error {
	s, err := door.JournalStats(ctx, since, until)
	if err != nil {
		return err
	}
	return writeDSA(s, w)
}

func writeDSA(s api.JournalStats, w io.Writer) error {
	checked := s.Allow
	for _, h := range s.Harms {
		checked += h.Decisions()
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(dsaColumns); err != nil {
		return err
	}
	start, end := periodOf(s)
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	for _, c := range dsaCategories {
		h := s.Harms[c.harm]
		rate, accuracy := "", ""
		if h.ErrorRate != nil {
			rate, accuracy = fmt.Sprintf("%.6f", *h.ErrorRate), fmt.Sprintf("%.6f", 1-*h.ErrorRate)
		}
		if err := out.Write([]string{start, end, c.category, c.keyword, number(checked), number(h.Decisions()), number(h.Block), number(h.Review),
			number(h.Right + h.False), number(h.False), rate, accuracy, number(h.Reported)}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// periodOf is from when to when the counts are: as was asked, else of the first and last hour that has any.
func periodOf(s api.JournalStats) (start, end string) {
	from, to := s.Since, s.Until
	if n := len(s.Hours); n > 0 {
		first, last := s.Hours[0].Hour, s.Hours[n-1].Hour
		if from.IsZero() {
			from = first
		}
		if to.IsZero() {
			to = last.Add(time.Hour)
		}
	}
	text := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return text(from), text(to)
}
