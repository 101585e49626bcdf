package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	filePrefix = "lines-"
	fileSuffix = ".jsonl"
	tornPrefix = "torn-"
)

// fileName is the file whose first line has a number.
func fileName(first uint64) string { return fmt.Sprintf("%s%013d%s", filePrefix, first, fileSuffix) }

// fileNumber is the number in a file's name.
func fileNumber(name string) (first uint64, ok bool) {
	digits, ok := strings.CutPrefix(name, filePrefix)
	if !ok {
		return 0, false
	}
	digits, ok = strings.CutSuffix(digits, fileSuffix)
	n, err := strconv.ParseUint(digits, 10, 63)
	return n, ok && err == nil && fileName(n) == name
}

// listFiles are the names of the files of lines, the oldest first.
func listFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, ok := fileNumber(e.Name()); ok && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { // by number, which may outgrow its digits
		m, _ := fileNumber(a)
		n, _ := fileNumber(b)
		return int(int64(m) - int64(n))
	})
	return names, nil
}

// readCapped reads a file of at most most bytes.
func readCapped(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", filepath.Base(path), most)
	}
	return data, err
}

func readFile(dir, name string) ([]byte, error) {
	data, err := readCapped(filepath.Join(dir, name), maxReadFile)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return data, nil
}

// splitLines cuts data into its lines, without their ends, and what follows the last end.
func splitLines(data []byte) (lines [][]byte, rest []byte) {
	end := bytes.LastIndexByte(data, '\n') + 1
	if end > 0 {
		lines = bytes.Split(data[:end-1], []byte("\n"))
	}
	return lines, data[end:]
}
