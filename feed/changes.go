package feed

import (
	"fmt"
	"slices"
	"strings"

	"hashfeed/crypto"
)

// Changes says in plain words what a charter changes against the one before, a sentence each, for whoever is about to sign it or has followed the
// feed. Every line of the charter that differs is in it; the version always is.
func Changes(before, next Charter) []string {
	var words []string
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	differs := func(what, was, is string) {
		if was != is {
			say("%s: %s (was %s)", what, is, was)
		}
	}
	differs("version", fmt.Sprint(before.Version), fmt.Sprint(next.Version))
	differs("feed", string(before.Feed), string(next.Feed))
	differs("expires", formatDate(before.Expires), formatDate(next.Expires))
	differs("harm", string(before.Harm), string(next.Harm))
	differs("use", string(before.Use), string(next.Use))
	differs("audience", audienceText(before.Audience), audienceText(next.Audience))
	differs("contact", before.Contact, next.Contact)
	differs("disputes are answered within", before.Answer.String(), next.Answer.String())
	differs("answers are stale after", before.SoftAge.String(), next.SoftAge.String())
	differs("additions are doubtful after", before.HardAge.String(), next.HardAge.String())
	group := func(what, several string, was, is KeyGroup) {
		said := len(words)
		defer func() {
			if len(words) == said && was.String() != is.String() {
				say("%s stand in another order", several)
			}
		}()
		differs(several+" that must sign", fmt.Sprintf("%d of %d", was.K, len(was.Keys)), fmt.Sprintf("%d of %d", is.K, len(is.Keys)))
		for _, k := range was.Keys {
			if !slices.Contains(is.Keys, k) {
				say("%s goes: %s", what, k)
			}
		}
		for _, k := range is.Keys {
			if !slices.Contains(was.Keys, k) {
				say("%s comes: %s", what, k)
			}
		}
	}
	group("root key", "root keys", before.Root, next.Root)
	for i, cut := range next.Closed {
		switch {
		case i >= len(before.Closed):
			say("log %d is closed at %d records, root %s: what lies past them has no effect any more", i+1, cut.Size, encodeBase64(cut.Root[:]))
		case cut != before.Closed[i]:
			say("the end of log %d is rewritten", i+1)
		}
	}
	if len(next.Closed) < len(before.Closed) {
		say("closed logs are left out")
	}
	differs("log", fmt.Sprint(before.Log), fmt.Sprint(next.Log))
	group("signer", "signers", before.Signer, next.Signer)
	differs("stamp key", before.Stamp.String(), next.Stamp.String())
	differs("roster key", optionalKey(before.Roster), optionalKey(next.Roster))
	switch none := (KeyGroup{}); {
	case before.Quorum == nil && next.Quorum == nil:
	case next.Quorum == nil:
		say("no quorum of witnesses any more: additions count at once")
		group("witness", "witnesses", *before.Quorum, none)
	case before.Quorum == nil:
		say("additions count only once %d of %d witnesses have cosigned them", next.Quorum.K, len(next.Quorum.Keys))
		group("witness", "witnesses", none, *next.Quorum)
	default:
		group("witness", "witnesses", *before.Quorum, *next.Quorum)
	}
	differs("remarks", strings.Join(before.Extra, ", "), strings.Join(next.Extra, ", "))
	return words
}

func audienceText(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ",")
}

func optionalKey(k *crypto.PublicKey) string {
	if k == nil {
		return "none"
	}
	return k.String()
}
