package journal

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// Open opens the journal in a folder, which need not exist. A torn line at its end is set aside. Whatever else is wrong with it stops nothing:
// the chain goes on behind it, State tells, and Verify says where.
func Open(o Options) (*Journal, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	j := &Journal{o: o, settled: make(chan struct{}), wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	j.state.Store(&State{})
	e, err := j.recover()
	if err != nil {
		j.closeFiles()
		return nil, err
	}
	j.seq, j.last = e.seq, e.last
	j.counts = e.counts
	hour := hourOf(o.Now().Unix())
	if !j.counts.Hour.IsZero() {
		hour = j.counts.Hour.Unix()
	}
	j.counts.Hour = time.Unix(hour, 0).UTC()
	count := &hourCount{hour: hour}
	count.n.Store(j.counts.Allow)
	j.counts.Allow = 0
	j.allow.Store(count)
	j.written = mark{j.seq, j.last, j.counts.clone()}
	j.synced, j.durable = j.written, j.seq
	j.mu.Lock()
	j.latest = j.now()
	for _, n := range e.notes {
		j.noteLocked(n)
		o.Logger.Warn("journal", "what", n.What, "text", n.Text)
	}
	j.rollLocked(o.Now().Unix())
	j.mu.Unlock()
	go j.run()
	return j, nil
}

func (j *Journal) closeFiles() {
	if j.file != nil {
		j.file.Close()
	}
	if j.headFile != nil {
		j.headFile.Close()
	}
}

// end is what was found at the journal's end.
type end struct {
	seq    uint64
	last   digest
	counts Counts
	notes  []Note
}

// recover finds the end of the chain, and opens the newest file for more lines where it is whole.
func (j *Journal) recover() (e end, err error) {
	h, found, err := readHead(j.o.Dir, &j.o.Key)
	if err != nil && !found {
		return e, fmt.Errorf("read journal: %w", err)
	}
	damaged := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		e.notes = append(e.notes, Note{What: NoteDamaged, Text: text})
		j.change(func(s *State) { s.Damage = text })
	}
	if err != nil {
		damaged("%v", err)
		h, found = head{}, false
	}
	j.heads = h.N
	e.counts = h.Counts
	names, err := listFiles(j.o.Dir)
	if err != nil {
		return e, err
	}
	if len(names) == 0 {
		if h.Seq > 0 {
			damaged("all lines up to %d are missing", h.Seq)
			e.seq = h.Seq
		}
		return e, nil
	}
	if !found && len(e.notes) == 0 {
		damaged("there are lines and no head: whether the end was cut off isn't known")
	}
	newest := names[len(names)-1]
	data, err := readFile(j.o.Dir, newest)
	if err != nil {
		return e, err
	}
	lines, torn := splitLines(data)
	if len(lines) == 0 && len(names) > 1 { // it was begun, and then the power went
		return j.recoverBefore(newest, torn)
	}
	first, _ := fileNumber(newest)
	e.seq = first - 1
	whole := len(lines) > 0
	for i, line := range lines {
		wrong := func(err error) {
			whole = false
			damaged("%s, line %d: %v", newest, i+1, err)
		}
		l, err := ParseLine(line)
		if err != nil {
			wrong(err)
			e.seq, e.last = e.seq+1, sha256.Sum256(line)
			continue
		}
		if l.Seq != e.seq+1 || i > 0 && l.Prev != e.last.String() {
			wrong(fmt.Errorf("line %d doesn't follow the line before", l.Seq))
		}
		e.seq, e.last = max(l.Seq, e.seq+1), sha256.Sum256(line)
		if l.Purged != nil {
			e.seq, e.last = max(l.Purged.To, e.seq), l.Purged.digest()
		}
		if e.seq == h.Seq && found && e.last.String() != h.Hash {
			wrong(fmt.Errorf("line %d was changed", e.seq))
		}
		switch { // what the head doesn't count yet
		case l.Seq <= h.Seq:
		case l.Counts == nil:
			e.counts.line(&l)
		case !e.counts.Hour.After(l.Counts.Hour):
			e.counts = Counts{Hour: l.Counts.Hour.Add(time.Hour)}
		}
	}
	if e.seq < h.Seq {
		damaged("lines %d to %d are cut off", e.seq+1, h.Seq)
		e.seq, whole = h.Seq, false
	}
	if len(torn) > 0 {
		if err := j.setAside(newest, torn, int64(len(data)-len(torn))); err != nil {
			return e, err
		}
		e.notes = append(e.notes, tornNote(torn))
	}
	if !whole {
		return e, nil // the next line begins a file
	}
	return e, j.openNewest(newest, lines[0], int64(len(data)-len(torn)))
}

func tornNote(torn []byte) Note {
	return Note{What: NoteTorn, Count: uint64(len(torn)), Text: fmt.Sprintf("%d bytes of a line that wasn't finished were set aside", len(torn))}
}

// recoverBefore goes on from the file before, where the newest has no line.
func (j *Journal) recoverBefore(empty string, torn []byte) (end, error) {
	if len(torn) > 0 {
		if err := j.setAside(empty, torn, 0); err != nil {
			return end{}, err
		}
	}
	if err := os.Remove(filepath.Join(j.o.Dir, empty)); err != nil {
		return end{}, fmt.Errorf("open journal: %w", err)
	}
	e, err := j.recover()
	if len(torn) > 0 {
		e.notes = append(e.notes, tornNote(torn))
	}
	return e, err
}

// setAside keeps what was torn in a file of its own, and cuts it off.
func (j *Journal) setAside(name string, torn []byte, size int64) error {
	first, _ := fileNumber(name)
	aside := filepath.Join(j.o.Dir, fmt.Sprintf("%s%013d-%d", tornPrefix, first, size))
	if err := os.WriteFile(aside, torn[:min(len(torn), maxTorn)], 0o600); err != nil { // on a full disk it is lost; nothing was promised of it
		j.o.Logger.Warn("a torn line of the journal is not kept", "err", err)
	}
	if err := os.Truncate(filepath.Join(j.o.Dir, name), size); err != nil {
		return fmt.Errorf("set a torn line aside: %w", err)
	}
	j.change(func(s *State) { s.Torn += len(torn) })
	return syncDir(j.o.Dir)
}

// openNewest goes on in the newest file.
func (j *Journal) openNewest(name string, first []byte, size int64) error {
	l, err := ParseLine(first)
	if err != nil {
		return nil // it was told; the next line begins a file
	}
	f, err := os.OpenFile(filepath.Join(j.o.Dir, name), os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	j.file, j.size, j.month = f, size, l.Time.UTC().Format("2006-01")
	return nil
}
