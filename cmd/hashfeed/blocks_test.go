package main

import (
	"fmt"
	"os"
	"syscall"
)

// diskBlocks is what a file takes on disk, in bytes.
func diskBlocks(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("no blocks of %s", path)
	}
	return stat.Blocks * 512, nil
}
