package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"hashfeed/node/api"
)

// HeldImports are the imports that wait for somebody to let them through.
func (n *Node) HeldImports(ctx context.Context) ([]api.HeldImport, error) {
	ids, err := n.heldFiles()
	if err != nil {
		return nil, err
	}
	held := []api.HeldImport{}
	for _, id := range ids {
		head, _, f, err := n.openSpool(filepath.Join(n.dir.imports(), heldName(id)))
		if err != nil {
			return nil, fmt.Errorf("held import %s: %w", id, err)
		}
		f.Close()
		head.Request.Map = ""
		held = append(held, api.HeldImport{ID: id, Since: timeText(head.Time), Import: head.Request})
	}
	return held, nil
}

// keepHeld keeps the list of an import until it is released.
func (im *listImport) keepHeld(path string) (id string, err error) {
	if im.released {
		return "", nil
	}
	ids, err := im.n.heldFiles()
	if err != nil {
		return "", err
	}
	if len(ids) >= maxHeld && !slices.Contains(ids, im.idOfHeld()) {
		return "", conflict("%d imports are held already: release or drop one", len(ids))
	}
	id = im.idOfHeld()
	if err := os.Rename(path, filepath.Join(im.n.dir.imports(), heldName(id))); err != nil {
		return "", err
	}
	return id, syncDir(im.n.dir.imports())
}

// ReleaseImport takes an import that was held.
func (n *Node) ReleaseImport(ctx context.Context, id string, dryRun bool, tell func(api.ImportProgress)) (api.Imported, error) {
	if !n.importing.TryLock() {
		return api.Imported{}, conflict("another list is being imported")
	}
	defer n.importing.Unlock()
	path, err := n.heldPath(id)
	if err != nil {
		return api.Imported{}, err
	}
	head, list, f, err := n.openSpool(path)
	if err != nil {
		return api.Imported{}, fmt.Errorf("held import %s: %w", id, err)
	}
	sum, err := sumOf(list)
	f.Close()
	if err != nil {
		return api.Imported{}, fmt.Errorf("held import %s: %w", id, err)
	}
	head.Request.DryRun = dryRun
	im, err := n.newImport(head.Request)
	if err != nil {
		return api.Imported{}, err
	}
	im.released, im.file = true, sum
	if err := im.run(ctx, path, tell); err != nil {
		return im.result, err
	}
	if dryRun || !im.result.Done { // several sign the feed now, and a part waits for the first batch
		return im.result, nil
	}
	return im.result, os.Remove(path)
}

// DropImport forgets an import that was held.
func (n *Node) DropImport(ctx context.Context, id string) error {
	path, err := n.heldPath(id)
	if err != nil {
		return err
	}
	return os.Remove(path)
}

func (n *Node) heldPath(id string) (string, error) {
	path := filepath.Join(n.dir.imports(), heldName(id))
	if !validHeld(id) {
		return "", notFound("no import %.20q is held", id)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", notFound("no import %s is held", id)
	} else if err != nil {
		return "", err
	}
	return path, nil
}
