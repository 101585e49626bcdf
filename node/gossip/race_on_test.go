//go:build race

package gossip

// raceEnabled: the race detector makes everything some ten times slower;
// less harm is done under it.
const raceEnabled = true
