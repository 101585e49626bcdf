//go:build unix

package notify

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the command the first of a group of processes that is killed as a whole.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
