package feed

import "slices"

// Status is what an item is worth at a moment.
type Status uint8

// The statuses. Only an active item may block anything; a held one is reported.
const (
	Pending   Status = iota // below no limit yet, its body missing or refused, or its not_before ahead
	Active                  // in force
	Held                    // in force but for a suspension, a retract past a cut, or one that we can't judge
	Retracted               // by any retract that is stored, whatever the limit
)

// String returns the status in lower case.
func (s Status) String() string {
	return [...]string{"pending", "active", "held", "retracted"}[min(s, Retracted)]
}

// Why an item is held; of several the first.
const (
	WhySuspended = "suspended" // a suspension is in force
	WhyCut       = "cut"       // a retract of it lies past the cut of a closed log, and its 7 days aren't over
	WhyStopped   = "stopped"   // a retract of it comes after an op that this version doesn't know
)

// Standing is what an item is worth at a moment, given how much of the newest log counts.
type Standing struct {
	Status Status
	Body   Position // the record whose body is in force; zero: none. Never set when retracted
	Why    string   // of Held, one of the Why constants
	Listed int64    // the time in the head of the item's add, Unix seconds
}

// place is a Position in one word: the log above 40 bits of index. Places compare as positions do. 0 is none.
type place uint64

func placeOf(p Position) place { return place(p.Log)<<40 | place(p.Index) }

// edgeOf is the place at which limit ends log; no record of it lies at or above that of the largest limit.
func edgeOf(log int, limit uint64) place { return place(log)<<40 + place(min(limit, MaxSize)) }

func (p place) position() Position { return Position{int(p >> 40), uint64(p) & (MaxSize - 1)} }

// content says what is known of the body of an add or revise.
type content uint8

const (
	contentAbsent content = iota // not here: erased where a retract lists the record, else missing
	contentIdle                  // here, listed by a retract, and so not judged
	contentGood                  // here and judged good
	contentRefused
	// contentRefused + i is the i-th of refuseCodes.
)

var refuseCodes = [...]RefuseCode{RefusedForm, RefusedOrder, RefusedDigest, RefusedLowers, RefusedBaseline, RefusedDoubtful}

func refusedAs(code RefuseCode) content {
	return contentRefused + content(slices.Index(refuseCodes[:], code))
}

// refused returns the code of a refused body.
func (c content) refused() (RefuseCode, bool) {
	if c < contentRefused {
		return "", false
	}
	return refuseCodes[c-contentRefused], true
}

// What is in force after a record, if it isn't an index into the item's records.
const (
	forceNone = -1 // nothing: retracted, or all was refused since the item began or was reinstated
	forceGap  = -2 // can't be told: a body that decides is missing
)

// entry is a non-void add or revise of an item.
type entry struct {
	at        place
	notBefore uint32 // of its body, if good
	content   content
	force     int8 // which of the item's records is in force after this one, or forceNone, forceGap
}

// forceAlone is what is in force after a record with this content where nothing was before.
func forceAlone(c content, self int) int8 {
	switch c {
	case contentGood:
		return int8(self)
	case contentAbsent:
		return forceGap
	}
	return forceNone
}

// Item is an immutable snapshot of one item of a [State]: whoever holds it may read it for ever, from any goroutine.
//
// Most items are one add and nothing else, and a list has millions: they take 48 bytes; what the others need besides is in more.
type Item struct {
	id        ItemID
	first     place // its add
	listed    uint32
	notBefore uint32   // with more == nil: of the add's body
	content   content  // with more == nil: of the add
	rev       uint8    // of its newest record
	stopped   bool     // a retract after the op that stopped us names it
	more      *history // nil: an add alone
}

// history is what an Item that is more than an add has. It is immutable, and so are its slices.
type history struct {
	records   []entry // all non-void adds and revises, ascending
	live      int     // records[live:] came after the newest retract
	retract   place   // the newest non-void retract, 0: none
	cuts      []int   // closed logs past whose cut a retract names the item
	suspended []int64 // for each signer the time of its earliest note that names the item, ascending
}

// edit returns a copy of the item whose history may be changed.
func (it *Item) edit() *Item {
	c := *it
	h := history{records: []entry{c.entry(0)}}
	if it.more != nil {
		h = *it.more
		h.records = slices.Clone(h.records)
	}
	c.more = &h
	return &c
}

func (it *Item) len() int {
	if it.more == nil {
		return 1
	}
	return len(it.more.records)
}

func (it *Item) entry(i int) entry {
	if it.more == nil {
		return entry{it.first, it.notBefore, it.content, forceAlone(it.content, 0)}
	}
	return it.more.records[i]
}

// live returns the index of the first record after the newest retract.
func (it *Item) live() int {
	if it.more == nil {
		return 0
	}
	return it.more.live
}

// ID returns the item's id.
func (it *Item) ID() ItemID { return it.id }

// First returns the record of its add, which is what people call the item by.
func (it *Item) First() Position { return it.first.position() }

// Rev returns the rev of its newest non-void record, retracts included: the next one bears one more.
func (it *Item) Rev() int { return int(it.rev) }

// Records returns its non-void adds and revises, ascending: what a retract must list.
func (it *Item) Records() []Position { return it.AppendRecords(make([]Position, 0, it.len())) }

// AppendRecords appends them to a list.
func (it *Item) AppendRecords(list []Position) []Position {
	for i := range it.len() {
		list = append(list, it.entry(i).at.position())
	}
	return list
}

// Retracted reports whether its newest record is a retract, whatever the limit.
func (it *Item) Retracted() bool { return it.live() == it.len() }

// Retract returns its newest non-void retract, if there is one.
func (it *Item) Retract() (Position, bool) {
	if it.more == nil || it.more.retract == 0 {
		return Position{}, false
	}
	return it.more.retract.position(), true
}

// latest returns the record whose body lists the item's hashes in the tables: the newest one in force after any record since the newest
// retract, whatever the limit. Since no revise drops a hash, its hashes are those of all bodies that a limit may bring into force.
func (it *Item) latest() (index int, ok bool) {
	for i := it.len() - 1; i >= it.live(); i-- {
		if f := it.entry(i).force; f >= 0 {
			return int(f), true
		}
	}
	return 0, false
}

// standing judges the item where records below edge count. opened gives the earliest stamp held of a log.
func (it *Item) standing(edge place, now int64, opened map[int]int64) Standing {
	st := Standing{Listed: int64(it.listed)}
	last := it.len() - 1 // of the records that count
	for last >= it.live() && it.entry(last).at >= edge {
		last--
	}
	if last < it.live() {
		// Nothing counts that came after the newest retract. A retract counts wherever it lies.
		if it.more != nil && it.more.retract != 0 {
			st.Status = Retracted
		}
		return st
	}
	f := it.entry(last).force
	if f < 0 {
		return st
	}
	body := it.entry(int(f))
	st.Body = body.at.position()
	if int64(body.notBefore) > now {
		return st
	}
	if st.Why = it.held(now, opened); st.Why != "" {
		st.Status = Held
	} else {
		st.Status = Active
	}
	return st
}

// held says why the item is held, "" if it isn't.
func (it *Item) held(now int64, opened map[int]int64) string {
	if it.more != nil {
		for _, t := range it.more.suspended {
			if t-clockSkew <= now && now < t+suspensionHold {
				return WhySuspended
			}
		}
		for _, log := range it.more.cuts {
			if stamp, ok := opened[log+1]; !ok || now-cutHold < stamp { // (no sum: a stamp is any number)
				return WhyCut
			}
		}
	}
	if it.stopped {
		return WhyStopped
	}
	return ""
}
