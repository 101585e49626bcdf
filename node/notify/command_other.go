//go:build !unix

package notify

import "os/exec"

// ownGroup: without groups of processes the command alone is killed.
func ownGroup(*exec.Cmd) {}
