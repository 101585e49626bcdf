package match

import (
	"cmp"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is the tables as a reader of the package doc would write them.
type model map[Alg]map[string]map[ID]bool

func (m model) add(alg Alg, value []byte, id ID) {
	if m[alg] == nil {
		m[alg] = map[string]map[ID]bool{}
	}
	if m[alg][string(value)] == nil {
		m[alg][string(value)] = map[ID]bool{}
	}
	m[alg][string(value)][id] = true
}

func (m model) remove(alg Alg, value []byte, id ID) {
	ids := m[alg][string(value)]
	delete(ids, id)
	if len(ids) == 0 {
		delete(m[alg], string(value))
	}
}

func (m model) lookup(alg Alg, value []byte, distance, max int) ([]Hit, bool) {
	if alg.exact() {
		distance = 0
	}
	nearest := map[ID]int{}
	for v, ids := range m[alg] {
		n := 0
		for i := range value {
			if alg == PhotoDNA {
				n += (int(v[i]) - int(value[i])) * (int(v[i]) - int(value[i]))
			} else {
				n += bits.OnesCount8(v[i] ^ value[i])
			}
		}
		if n > distance || alg == PhotoDNA && n > 0 && (flat([]byte(v)) || flat(value)) {
			continue
		}
		for id := range ids {
			if old, ok := nearest[id]; !ok || n < old {
				nearest[id] = n
			}
		}
	}
	var hits []Hit
	for id, n := range nearest {
		hits = append(hits, Hit{ID: id, Alg: alg, Distance: n})
	}
	slices.SortFunc(hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(a.ID, b.ID))
	})
	if len(hits) > max {
		return hits[:max], true
	}
	return hits, false
}

// diff says where the tables and the model disagree, "" for nowhere.
func (m model) diff(t *Tables, alg Alg, value []byte, distance int) string {
	want, wantTruncated := m.lookup(alg, value, distance, t.opts.MaxHits)
	got, truncated, err := t.Lookup(nil, alg, value, distance)
	if err != nil {
		return err.Error()
	}
	if !slices.Equal(got, want) || truncated != wantTruncated {
		return fmt.Sprintf("lookup of kind %d within %d: got %v, truncated %v, want %v, %v", alg, distance, got, truncated, want, wantTruncated)
	}
	if got, want := t.Len(alg), len(m[alg]); got != want {
		return fmt.Sprintf("length of kind %d: got %d, want %d", alg, got, want)
	}
	return ""
}

// tiny makes merges, compactions, indexes and truncation happen at once.
var tiny = Options{DeltaRows: 4, CompactRows: 2, MaxHits: 8}

// value returns the k-th of a few values that are near each other: bits of k,
// spread over the hash, on one of two backgrounds.
func modelValue(alg Alg, k int) []byte {
	v := make([]byte, alg.Size())
	if k&64 != 0 {
		for i := range v {
			v[i] = 0xa5
			if alg == PhotoDNA {
				v[i] = byte(7 * i) // as the other background is flat
			}
		}
	}
	for i := range 6 {
		if k>>i&1 != 0 {
			v[i*len(v)/6] ^= 1 << i
			v[len(v)-1-i] ^= byte(i) // two bits, one or none: both parities
		}
	}
	return v
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tables, m := newTables(tiny), model{}
		alg := rapid.SampledFrom([]Alg{MD5, SHA1, SHA256, PDQ, PDQ, PDQ, PDQFull, PhotoDNA})
		value := rapid.IntRange(0, 127)
		// Few ids, so that values and items have several of each other; many at times.
		id := rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Uint64Range(0, 60), rapid.Just(uint64(maxID)))
		actions := map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "n") {
					a, v, id := alg.Draw(t, "alg"), value.Draw(t, "value"), ID(id.Draw(t, "id"))
					if err := tables.Add(a, modelValue(a, v), id); err != nil {
						t.Fatal(err)
					}
					m.add(a, modelValue(a, v), id)
				}
			},
			"add a crowd": func(t *rapid.T) {
				a, v := alg.Draw(t, "alg"), modelValue(PDQ, value.Draw(t, "value"))
				v = append(v, make([]byte, 144)...)[:a.Size()]
				var batch []Entry
				for id := range ID(rapid.IntRange(1, 100).Draw(t, "n")) {
					batch = append(batch, Entry{a, v, id})
					m.add(a, v, id)
				}
				if err := tables.AddBatch(batch); err != nil {
					t.Fatal(err)
				}
			},
			"remove": func(t *rapid.T) {
				a := alg.Draw(t, "alg")
				// Of what is there, else nearly all removals would be in vain.
				for _, v := range sorted(m[a]) {
					for id := range m[a][v] {
						if rapid.IntRange(0, 2).Draw(t, "keep") > 0 {
							continue
						}
						if err := tables.Remove(a, []byte(v), id); err != nil {
							t.Fatal(err)
						}
						m.remove(a, []byte(v), id)
					}
				}
			},
			"remove in vain": func(t *rapid.T) {
				a, v := alg.Draw(t, "alg"), value.Draw(t, "value")
				if err := tables.Remove(a, modelValue(a, v), 70); err != nil {
					t.Fatal(err)
				}
				m.remove(a, modelValue(a, v), 70)
			},
			"remove all": func(t *rapid.T) {
				lo := ID(rapid.Uint64Range(0, 40).Draw(t, "lo"))
				hi := lo + ID(rapid.SampledFrom([]uint64{0, 1, 3, 30, maxID}).Draw(t, "n"))
				if err := tables.RemoveAll(lo, hi); err != nil {
					t.Fatal(err)
				}
				for a := MD5; a <= PhotoDNA; a++ {
					for _, v := range sorted(m[a]) {
						for id := range m[a][v] {
							if lo <= id && id < hi {
								m.remove(a, []byte(v), id)
							}
						}
					}
				}
			},
			"settle":  func(*rapid.T) { tables.settle() },
			"restart": func(t *rapid.T) { tables = restarted(t, tables) },
			"": func(t *rapid.T) {
				for a := MD5; a <= PhotoDNA; a++ {
					v, d := modelValue(a, value.Draw(t, "query")), 0
					if a.exact() {
						if s := m.diff(tables, a, v, d); s != "" {
							t.Fatal(s)
						}
						continue
					}
					tb := tables.tables[a]
					if got, want := tb.dead, int(tb.cur.Load().rows.n.Load())-tables.Len(a); got != want {
						t.Fatalf("kind %d: got %d dead rows counted, want %d", a, got, want)
					}
					if a == PhotoDNA {
						d = rapid.OneOf(rapid.IntRange(0, 3000), rapid.Just(MaxSquare)).Draw(t, "square")
					} else {
						d = rapid.IntRange(0, MaxDistance).Draw(t, "distance")
					}
					if s := m.diff(tables, a, v, d); s != "" {
						t.Fatal(s)
					}
				}
			},
		}
		actions["compact beside the writer"] = func(t *rapid.T) {
			tables.settle()
			c := startCompaction(tables.tables[PDQ])
			change := func() {
				for range rapid.IntRange(0, 3).Draw(t, "changes") {
					actions[rapid.SampledFrom([]string{"add", "add a crowd", "remove", "remove all"}).Draw(t, "change")](t)
				}
			}
			change()
			c.copy(1, func() bool { return false })
			change()
			c.finish()
		}
		t.Repeat(actions)
	})
}

func sorted(m map[string]map[ID]bool) []string {
	var s []string
	for v := range m {
		s = append(s, v)
	}
	slices.Sort(s)
	return s
}

// TestModelLong runs many steps on one pair, with random values and the merger at
// its work beside it.
func TestModelLong(t *testing.T) {
	tables, m := New(Options{DeltaRows: 32, CompactRows: 8, MaxHits: 64}), model{}
	defer tables.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for step := range 5000 {
		a := Alg(1 + rng.IntN(6))
		if rng.IntN(2) == 0 {
			a = PDQ
		}
		v, id := modelValue(a, rng.IntN(128)), ID(rng.IntN(6))
		if rng.IntN(3) == 0 {
			v[rng.IntN(len(v))] ^= 1 << rng.IntN(8)
		}
		var err error
		if rng.IntN(5) < 3 {
			err = tables.Add(a, v, id)
			m.add(a, v, id)
		} else {
			err = tables.Remove(a, v, id)
			m.remove(a, v, id)
		}
		if err != nil {
			t.Fatal(err)
		}
		d := 0
		if a.near() {
			d = rng.IntN(MaxDistance + 1)
		} else if a == PhotoDNA {
			d = rng.IntN(5000)
		}
		if s := m.diff(tables, a, modelValue(a, rng.IntN(128)), d); s != "" {
			t.Fatalf("step %d: %s", step, s)
		}
	}
}

// FuzzLookup reads its input as steps: what to do, on which value, for which
// item, and compares each lookup with the model.
func FuzzLookup(f *testing.F) {
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) > 4*512 {
			return
		}
		tables, m := newTables(tiny), model{}
		for ; len(steps) >= 4; steps = steps[4:] {
			a := Alg(steps[0]>>4)%6 + 1
			v, id, d := modelValue(a, int(steps[1])), ID(steps[2]), int(steps[3])%(MaxDistance+1)
			v[int(steps[1]>>7)*int(steps[2])%len(v)] ^= steps[3] // values beside the pattern
			if a == PhotoDNA {
				d *= d
			} else if !a.near() {
				d = 0
			}
			switch steps[0] & 15 % 4 {
			case 0, 1:
				if err := tables.Add(a, v, id); err != nil {
					t.Fatal(err)
				}
				m.add(a, v, id)
			case 2:
				if err := tables.Remove(a, v, id); err != nil {
					t.Fatal(err)
				}
				m.remove(a, v, id)
			case 3:
				tables.settle()
			}
			if s := m.diff(tables, a, v, d); s != "" {
				t.Fatal(s)
			}
		}
	})
}
