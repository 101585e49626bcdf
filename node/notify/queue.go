package notify

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/google/renameio/v2"
)

// queue is what waits for one target, in memory and in a file. Crash order: a message is written and synced before it may be sent; that it is
// done with is written after, and not synced, so that a crash sends a message again rather than never.
type queue struct {
	path string

	mu      sync.Mutex
	file    *os.File
	size    int64 // of the file
	waiting []Message
	bytes   int // of their bodies
}

// openQueue opens the file, and makes it if there is none. damaged is how many lines could not be read.
func openQueue(path string) (q *queue, damaged int, err error) {
	q = &queue{path: path}
	var old []byte
	switch f, err := os.Open(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, 0, fmt.Errorf("open queue: %w", err)
	default:
		old, err = io.ReadAll(io.LimitReader(f, maxQueueFile+maxBody))
		f.Close()
		if err != nil {
			return nil, 0, fmt.Errorf("open queue: %w", err)
		}
	}
	q.waiting, damaged = parseQueue(old)
	for _, m := range q.waiting {
		q.bytes += len(m.Body)
	}
	if damaged > 0 { // what it held may be worth a look
		if err := os.WriteFile(path+".damaged", old, 0o600); err != nil {
			return nil, 0, fmt.Errorf("open queue: %w", err)
		}
	}
	if err := q.rewrite(); err != nil {
		return nil, 0, fmt.Errorf("open queue: %w", err)
	}
	return q, damaged, nil
}

// add keeps messages, and says of each whether there was room. An error says that they are kept in memory only.
func (q *queue) add(messages []Message) (kept []bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var lines []byte
	for _, m := range messages {
		most, mostBytes := maxWaiting, maxWaitingBytes
		if !m.Urgent {
			most, mostBytes = most-most/10, mostBytes-mostBytes/10
		}
		room := len(q.waiting) < most && q.bytes+len(m.Body) <= mostBytes
		kept = append(kept, room)
		if !room {
			continue
		}
		q.waiting = append(q.waiting, m)
		q.bytes += len(m.Body)
		lines = appendMessage(lines, m)
	}
	if len(lines) == 0 {
		return kept, nil
	}
	if q.size+int64(len(lines)) > maxQueueFile {
		if err := q.rewrite(); err != nil { // with what is new
			return kept, fmt.Errorf("keep messages: %w", err)
		}
		return kept, nil
	}
	if err := q.write(lines); err != nil {
		return kept, fmt.Errorf("keep messages: %w", err)
	}
	if err := q.file.Sync(); err != nil {
		return kept, fmt.Errorf("keep messages: %w", err)
	}
	return kept, nil
}

// first is the message that goes out next.
func (q *queue) first() (m Message, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return m, false
	}
	return q.waiting[0], true
}

// done lets go of the first message.
func (q *queue) done() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.waiting[0]
	q.waiting[0] = Message{} // its body isn't held on to
	q.waiting = q.waiting[1:]
	q.bytes -= len(m.Body)
	if len(q.waiting) == 0 {
		q.waiting = nil
		if q.size > maxIdleFile {
			if err := q.file.Truncate(0); err != nil {
				return err
			}
			q.size = 0
			return nil
		}
	}
	return q.write(appendDone(nil, m.ID))
}

// state is how many wait, and since when the first does.
func (q *queue) state() (waiting int, oldest Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 {
		oldest = q.waiting[0]
	}
	return len(q.waiting), oldest
}

// write appends lines; what a full disk took of them is taken back, so that the next line begins at a line's beginning.
func (q *queue) write(lines []byte) error {
	n, err := q.file.Write(lines)
	if err != nil {
		return errors.Join(err, q.file.Truncate(q.size))
	}
	q.size += int64(n)
	return nil
}

// rewrite replaces the file by one with nothing but what waits.
func (q *queue) rewrite() error {
	var lines []byte
	for _, m := range q.waiting {
		lines = appendMessage(lines, m)
	}
	if err := renameio.WriteFile(q.path, lines, 0o600); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(q.path)); err != nil {
		return err
	}
	file, err := os.OpenFile(q.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	if q.file != nil {
		q.file.Close()
	}
	q.file, q.size = file, int64(len(lines))
	return nil
}

func (q *queue) close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return errors.Join(q.file.Sync(), q.file.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendMessage(b []byte, m Message) []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // it passed check
	}
	return appendLine(b, '+', text)
}

func appendDone(b []byte, id string) []byte { return appendLine(b, '-', []byte(id)) }

func appendLine(b []byte, sign byte, text []byte) []byte {
	rest := append([]byte{sign, ' '}, text...)
	b = fmt.Appendf(b, "%08x ", crc32.Checksum(rest, castagnoli))
	return append(append(b, rest...), '\n')
}

// parseQueue reads the file of a queue: what waits, in order, and how many lines are none. A last line without its end was cut off by a crash, and
// isn't counted.
func parseQueue(data []byte) (waiting []Message, damaged int) {
	present := map[string]int{} // how often: an id comes once, but a file may be anything
	size := 0
	for len(data) > 0 {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		data = rest
		if !whole {
			break
		}
		sign, text, ok := parseLine(line)
		if ok && sign == '-' {
			if present[string(text)] == 0 {
				continue // its message was damaged
			}
			present[string(text)]--
			i := slices.IndexFunc(waiting, func(m Message) bool { return m.ID == string(text) }) // nearly always the first
			size -= len(waiting[i].Body)
			waiting = slices.Delete(waiting, i, i+1)
			continue
		}
		var m Message
		if ok {
			ok = json.Unmarshal(text, &m) == nil && m.check() == nil
		}
		if !ok || len(waiting) == maxWaiting || size+len(m.Body) > maxWaitingBytes {
			damaged++
			continue
		}
		waiting = append(waiting, m)
		present[m.ID]++
		size += len(m.Body)
	}
	return waiting, damaged
}

// parseLine checks a line's sum.
func parseLine(line []byte) (sign byte, text []byte, ok bool) {
	if len(line) < 8+len(" + ") || line[8] != ' ' || line[10] != ' ' || line[9] != '+' && line[9] != '-' {
		return 0, nil, false
	}
	var sum [4]byte
	if _, err := hex.Decode(sum[:], line[:8]); err != nil || strings.ToLower(string(line[:8])) != string(line[:8]) {
		return 0, nil, false
	}
	want := uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3])
	return line[9], line[11:], crc32.Checksum(line[9:], castagnoli) == want
}
