package node

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/google/renameio/v2"
)

// Small lists of the node's own, tokens and members, are files of a JSON object a line, 0600. The last line is "sum " and the SHA-256 of
// all before it in hex: a changed byte of a peer id is another peer id.

// readJSONLines reads such a file of at most most bytes; one that isn't there is empty.
func readJSONLines[T any](path string, most int, check func(T) error) ([]T, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return []T{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err == nil {
		var lines []byte
		if lines, err = summedLines(data); err == nil {
			var list []T
			if list, err = parseJSONLines(lines, most, check); err == nil {
				return list, nil
			}
		}
	}
	return nil, fmt.Errorf("read %s: %w", path, err)
}

// sumLine is the last line of such a file.
func sumLine(lines []byte) []byte { return fmt.Appendf(nil, "sum %x\n", sha256.Sum256(lines)) }

var errLines = errors.New("it is damaged: its last line isn't the sum of the others")

// summedLines are the lines before the last, which must be their sum.
func summedLines(data []byte) ([]byte, error) {
	at := len(data) - len(sumLine(nil))
	if at < 0 || !bytes.Equal(data[at:], sumLine(data[:at])) {
		return nil, errLines
	}
	return data[:at], nil
}

// parseJSONLines wants each line to have known keys alone, and to pass check.
func parseJSONLines[T any](data []byte, most int, check func(T) error) ([]T, error) {
	if len(data) > most {
		return nil, fmt.Errorf("longer than %d bytes", most)
	}
	list := []T{}
	for i, line := range bytes.Split(data, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var v T
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		err := d.Decode(&v)
		if err == nil {
			err = check(v)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		list = append(list, v)
	}
	return list, nil
}

// writeJSONLines replaces such a file, durably.
func writeJSONLines[T any](path string, list []T) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for _, v := range list {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	out.Write(sumLine(out.Bytes()))
	if err := renameio.WriteFile(path, out.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
