package node

import (
	"archive/tar"
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzUnpackBackup: whatever an archive holds, nothing is written but below the two folders, and nothing into what the store writes.
func FuzzUnpackBackup(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		parent := t.TempDir()
		r := restoring{ctx: context.Background(), dir: layout(filepath.Join(parent, "in", "node")), staging: filepath.Join(parent, "in", "feeds")}
		err := r.unpack(tar.NewReader(bytes.NewReader(data)))
		if err == nil && r.head.Format != backupFormat {
			t.Errorf("took a backup of format %d", r.head.Format)
		}
		walkErr := filepath.WalkDir(parent, func(path string, d fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(parent, path)
			node, inNode := strings.CutPrefix(rel, "in/node/")
			switch {
			case err != nil:
				return err
			case d.Type()&fs.ModeSymlink != 0:
				t.Errorf("wrote a link: %s", rel)
			case inNode && notBackedUp[strings.SplitN(node, "/", 2)[0]]:
				t.Errorf("wrote %s", rel)
			case rel != "." && rel != "in" && !strings.HasPrefix(rel, "in/node") && !strings.HasPrefix(rel, "in/feeds"):
				t.Errorf("wrote %s", rel)
			}
			return nil
		})
		if walkErr != nil && !os.IsNotExist(walkErr) {
			t.Fatal(walkErr)
		}
	})
}
