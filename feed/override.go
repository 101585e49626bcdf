package feed

import "errors"

// Why a record lists what a known-good list holds, as Facts.Override has it (WIRE §2). The set is closed: no free text enters a feed.
const (
	OverrideReviewed uint8 = 1 // somebody looked at the very file, and the list is wrong about it
	OverrideLegal    uint8 = 2 // an authority ordered it
	OverrideTest     uint8 = 3 // a trial of the guard
)

var overrideNames = [...]string{OverrideReviewed: "reviewed", OverrideLegal: "legal", OverrideTest: "test"}

var errOverride = errors.New("override of known-good: not reviewed, legal or test")

// ParseOverride parses the reason of an override: "reviewed", "legal" or "test".
func ParseOverride(s string) (uint8, error) {
	n, ok := numberOf(overrideNames[:], s)
	if !ok {
		return 0, errOverride
	}
	return uint8(n), nil
}

// OverrideName is the word that ParseOverride takes; "" for 0, which is none.
func OverrideName(o uint8) string {
	if int(o) >= len(overrideNames) {
		return ""
	}
	return overrideNames[o]
}
