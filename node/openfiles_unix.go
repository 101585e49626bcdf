//go:build unix

package node

import "syscall"

// openFiles is how many files this process may have open at once. Go has raised it as far as it may be.
func openFiles() (limit uint64, ok bool) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, false
	}
	return uint64(l.Cur), true
}
