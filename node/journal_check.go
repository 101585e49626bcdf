package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"hashfeed/crypto"
	"hashfeed/node/api"
	"hashfeed/node/journal"
)

// VerifyJournal checks the journal of the node in a directory, also while a daemon writes it.
func VerifyJournal(ctx context.Context, dir string, passphrase []byte) (journal.Report, error) {
	d := layout(dir)
	if _, err := os.Stat(d.config()); err != nil {
		if _, err := os.Stat(d.journal()); err != nil {
			return journal.Report{}, notFound("there is no node in %s", dir)
		}
	}
	key, err := journalKeyOf(d, passphrase)
	if err != nil {
		report, verifyErr := journal.Verify(ctx, d.journal(), nil)
		report.Note += fmt.Sprintf(" (%v)", err)
		return report, verifyErr
	}
	return journal.Verify(ctx, d.journal(), &key)
}

// journalKeyOf is the key of a journal whose node isn't open.
func journalKeyOf(d layout, passphrase []byte) (key journal.Key, err error) {
	signing, err := crypto.Load(d.journalKey(), passphrase)
	if err != nil {
		return key, err
	}
	return (&keyring{journal: signing}).journalSecret()
}

// journal checks the journal's folder, and with whole every line in it.
func (c *fileCheck) journal(ctx context.Context, whole bool) error {
	dir := c.dir.journal()
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was decided yet, or fsck asks before the first start
	}
	const means = "decisions can't be shown as they were made"
	if err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		err = fmt.Errorf("others may enter the folder (mode %04o)", info.Mode().Perm())
	}
	if err != nil {
		c.damaged("journal", dir, err, "others may read what was decided", fmt.Sprintf("chmod 700 %q", dir))
	}
	torn, _ := filepath.Glob(filepath.Join(dir, "torn-*")) // the pattern is well-formed
	for _, path := range torn {
		c.report(api.Finding{Kind: "journal", Where: c.name(path), Text: "a line that wasn't finished was set aside at a start", State: api.FindingWarning,
			Means: "one decision, or several, of the moment of a crash may be lost", Remedy: "look at it, and delete the file"})
	}
	if !whole {
		return nil
	}
	report, err := VerifyJournal(ctx, string(c.dir), c.passphrase)
	if err != nil {
		c.damaged("journal", dir, err, means, remedyRestore)
		return ctx.Err()
	}
	for _, p := range report.Problems {
		c.damaged("journal", filepath.Join(dir, p.File), errors.New(p.Text), means, "keep a copy of DIR/journal, and compare it with a backup")
	}
	return nil
}
