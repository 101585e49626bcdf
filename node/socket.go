package node

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hashfeed/node/api"
)

// maxSocketPath is what a Unix socket's address can hold on every system that we know.
const maxSocketPath = 100

// SocketPath is where the daemon of a directory is, or would be, reached: DIR/hashfeed.sock, or where that is too long for
// a socket, a path that DIR/hashfeed.sock.path records.
func SocketPath(dir string) string {
	recorded, err := os.ReadFile(socketRecord(dir))
	if path := strings.TrimSpace(string(recorded)); err == nil && filepath.IsAbs(path) {
		return path
	}
	return layout(dir).socket()
}

func socketRecord(dir string) string { return layout(dir).socket() + ".path" }

// listenSocket opens the node's door for the command line, in a folder that nobody else can enter.
func listenSocket(dir layout) (net.Listener, string, error) {
	path := dir.socket()
	if len(path) > maxSocketPath {
		var err error
		if path, err = shortSocket(dir); err != nil {
			return nil, "", err
		}
	} else if err := os.Remove(socketRecord(string(dir))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	l, err := api.Listen(path)
	return l, path, err
}

// shortSocket names a socket in $XDG_RUNTIME_DIR, or in a folder of the user's own under /tmp, and records it in DIR.
func shortSocket(dir layout) (string, error) {
	folder := os.Getenv("XDG_RUNTIME_DIR")
	if folder == "" {
		folder = filepath.Join(os.TempDir(), "hashfeed-"+strconv.Itoa(os.Getuid()))
		if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("open socket: %w", err)
		}
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return "", fmt.Errorf("open socket: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ownedByUs(info) {
		return "", fmt.Errorf("open socket: %s must be a folder of this user alone (0700)", folder)
	}
	sum := sha256.Sum256([]byte(dir))
	path := filepath.Join(folder, "hashfeed-"+hex.EncodeToString(sum[:6])+".sock")
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("open socket: %s is too long for one", path)
	}
	return path, os.WriteFile(socketRecord(string(dir)), []byte(path+"\n"), 0o600)
}
