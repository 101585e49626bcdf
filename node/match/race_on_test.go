//go:build race

package match

// raceEnabled: the race detector makes everything some ten times slower; the
// largest tests take fewer values under it.
const raceEnabled = true
