package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hashfeed/feed"
	"hashfeed/feed/hashlist"
	"hashfeed/node/api"
	"hashfeed/node/knowngood"
	"hashfeed/node/match"
)

// privateFeed is where imports land that name no feed: nobody else reads it.
const privateFeed = "private"

// listImport is one import under way.
type listImport struct {
	n                *Node
	request          api.Import
	format           hashlist.Format
	verdict, highest feed.Verdict // of rows that say none; the gravest that a row may carry
	media            feed.Media   // of rows that say none; 0: they must
	mapping          hashlist.Mapping
	name             feed.Name
	v                *view // nil: the feed private isn't made yet
	harm             feed.Harm
	file             string // SHA-256 of the list
	released         bool   // somebody has let a held one through

	// What a pass over the list has met.
	seen       bitmap // items that were there before and that the list has
	leaving    bitmap // of those, what the list retracts
	blocked    int    // rows that another item stood in the way of
	base       uint32 // how many items were there before
	rows       map[uint64]struct{}
	hashSeed   maphash.Seed
	batch      map[feed.Hash]bool // exact hashes of the records that aren't signed yet
	hits       []match.Hit
	bundle     feed.Position // of the first of bundled
	bundled    []feed.Record
	lacksMedia bool
	taken      map[feed.Position]bool // adds of items that imports have retracted
	overrides  map[string]int         // of what is added or revised, by reason
	broken     error                  // why the list couldn't be read to its end

	cleared   bitmap // rows whose hashes clearedBy doesn't know
	clearedBy *knowngood.Set

	mac  hash.Hash // of itemID
	text []byte
	pile pile // empty, to be used again

	hold   bool // additions and changes wait for a release
	runID  string
	began  time.Time
	result api.Imported
}

// Import takes a list into an own feed: once over all of it to judge, once to take it in signed batches. An import that ends in between, and is
// asked for again, goes on where it ended, since each row is compared with what the feed has.
func (n *Node) Import(ctx context.Context, r api.Import, list io.Reader, tell func(api.ImportProgress)) (api.Imported, error) {
	im, err := n.newImport(r)
	if err != nil {
		return api.Imported{}, err
	}
	if !n.importing.TryLock() {
		return im.result, conflict("another list is being imported")
	}
	defer n.importing.Unlock()
	if err := n.settleImports(ctx); err != nil {
		n.log.Warn("imports that aren't in the journal", "err", err)
	}
	s, err := n.keep(spoolHead{Time: n.unix(), Request: r}, list)
	if err != nil {
		return im.result, err
	}
	defer os.Remove(s.path) // unless it was held, which moves it
	im.file = s.sum
	err = im.run(ctx, s.path, tell)
	return im.result, err
}

// newImport checks what is asked.
func (n *Node) newImport(r api.Import) (*listImport, error) {
	im := &listImport{n: n, request: r, hashSeed: maphash.MakeSeed(), runID: rand.Text(), began: n.now(), overrides: map[string]int{}}
	var ok bool
	if r.Format == "" {
		return nil, incomplete("the format is missing: one of %s", hashlist.Names(true))
	}
	if im.format, ok = hashlist.Find(r.Format); !ok || im.format.Read == nil {
		return nil, badRequest(fmt.Errorf("format %.20q: one of %s", r.Format, hashlist.Names(true)))
	}
	if r.Verdict == "" {
		return nil, incomplete("the verdict is missing: nothing is listed without saying what it is")
	}
	source := cmp.Or(r.Source, r.Format)
	if _, err := feed.ParseSource(source + ":-"); err != nil {
		return nil, badRequest(fmt.Errorf(`source %.40q: want 1 to 16 of a-z, 0-9 and "-"`, source))
	}
	limits := n.config.Load().sourceOf(source)
	most, err := feed.ParseVerdict(limits.MaxVerdict)
	if err != nil {
		return nil, err
	}
	if im.verdict, err = feed.ParseVerdict(r.Verdict); err != nil {
		return nil, badRequest(err)
	}
	if im.highest = im.verdict; r.MaxVerdict != "" {
		if im.highest, err = feed.ParseVerdict(r.MaxVerdict); err != nil {
			return nil, badRequest(err)
		}
	}
	if im.verdict < im.highest {
		return nil, badRequest(fmt.Errorf("verdict %s is graver than the gravest that a row may carry, %s", im.verdict, im.highest))
	}
	if im.highest < most {
		return nil, refused("source %s may carry at most %s here, not %s ([[source]] max_verdict)", source, most, im.highest)
	}
	if r.Media != "" {
		if im.media, err = feed.ParseMedia(r.Media); err != nil {
			return nil, badRequest(err)
		}
	}
	if r.VerifiedBy < 0 || r.VerifiedBy > 255 || r.MaxRetract < 0 || r.MaxRetract > 100 {
		return nil, badRequest(errors.New("verified_by must be 1 to 255, max_retract 1 to 100"))
	}
	if r.Complete && r.Source == "" {
		return nil, incomplete("the source is missing: a list that is all that a source lists has one")
	}
	if len(r.Map) > maxMapFile {
		return nil, badRequest(fmt.Errorf("the map is longer than %d bytes", maxMapFile))
	}
	if r.Map != "" {
		if im.mapping, err = hashlist.ParseMapping(strings.NewReader(r.Map)); err != nil {
			return nil, badRequest(fmt.Errorf("map: %w", err))
		}
	}
	im.result = api.Imported{Source: source, Permission: r.Permission, MaxVerdict: im.highest.String(), DryRun: r.DryRun,
		Facts: map[string]int{}, Kinds: map[string]int{}, Notes: []api.RowNote{}, Sample: []api.SampleRow{}}
	return im, im.findFeed()
}

// findFeed finds the feed that the list goes to, and says why it may not.
func (im *listImport) findFeed() error {
	n, r := im.n, im.request
	var err error
	im.name = feed.Name(n.config.Load().Name + "/" + privateFeed)
	if r.Feed != "" {
		im.v, err = n.ownView(r.Feed)
	} else if v := n.viewNamed(im.name); v != nil && v.own {
		im.v = v
	}
	switch {
	case err != nil:
		return err
	case im.v == nil:
		if im.harm = feed.Harm(r.Harm); r.Harm == "" {
			first, err := n.findView("")
			if err != nil {
				return incomplete("the harm of the feed %s is missing", im.name)
			}
			im.harm = first.reading.Load().charter.Harm
		}
		if _, err := feed.ParseHarm(string(im.harm)); err != nil {
			return badRequest(err)
		}
		im.result.Feed = string(im.name.Log(1))
		return checkPermission(r.Permission)
	}
	charter := im.v.reading.Load().charter
	im.name, im.harm, im.result.Feed = im.v.name, charter.Harm, string(charter.Origin())
	switch {
	case r.Harm != "" && r.Harm != string(im.harm):
		return refused("harm %s: feed %s lists %s, and a feed lists one harm", r.Harm, im.name, im.harm)
	case (len(charter.Audience) > 0 || charter.Roster != nil) && r.Permission == "":
		return incomplete("feed %s is read by others: by which permission may it pass this list on? (--permission REFERENCE)", im.name)
	}
	return checkPermission(r.Permission)
}

func checkPermission(p string) error {
	if len(p) > 256 || strings.Trim(p, " ") != p {
		return badRequest(errors.New("permission: longer than 256 characters, or with blanks around it"))
	}
	for _, c := range []byte(p) {
		if c < ' ' || c > '~' {
			return badRequest(errors.New("permission: must be printable ASCII, such as the number of a contract"))
		}
	}
	return nil
}

// run judges the list that is kept at path, and takes it.
func (im *listImport) run(ctx context.Context, path string, tell func(api.ImportProgress)) (err error) {
	n, began := im.n, time.Now()
	defer func() { im.result.Seconds = time.Since(began).Seconds() }()
	if tell == nil {
		tell = func(api.ImportProgress) {}
	}
	if im.v != nil {
		if im.taken, err = n.readTaken(im.name); err != nil {
			return err
		}
	}
	if err := im.check(ctx, path, tell); err != nil {
		return err
	}
	if im.result.Why != "" {
		return nil
	}
	gone, err := im.missing(ctx)
	if err != nil {
		return err
	}
	res := &im.result
	now := pastImport{Time: n.unix(), Source: res.Source, Feed: string(im.name), Format: im.request.Format, File: im.file, Permission: res.Permission,
		MaxVerdict: res.MaxVerdict, Adds: res.Added + res.Revised, Retracts: res.Retracted + len(gone), Initial: im.request.Initial, Approved: im.released,
		Run: im.runID}
	several := im.v != nil && im.v.reading.Load().charter.Signer.K > 1
	now.Approved = now.Approved || several
	if several && !im.request.DryRun {
		if err := n.nothingWaits(im.v); err != nil {
			return err
		}
	}
	left, loaded, err := n.allowance(now)
	if err != nil {
		return err
	}
	switch {
	case im.request.Initial && loaded:
		return refused("source %s had its first load already: --initial is for one", res.Source)
	case !im.request.Initial && !now.Approved && now.Adds > left:
		im.hold = true
	}
	if im.request.DryRun {
		res.Retracted += len(gone)
		res.Done = true
		if im.hold {
			res.Waiting = now.Adds
			res.Why = fmt.Sprintf("%d additions and changes, and source %s may bring %d more today: they would be held", now.Adds, res.Source, left)
		}
		return nil
	}
	if now.Adds+now.Retracts == 0 {
		if res.Done = true; im.v != nil {
			im.tellJournal(ctx, im.line(), false) // nothing was passed on
		}
		return nil
	}
	if im.v == nil {
		if err := im.found(ctx); err != nil {
			return err
		}
	}
	charged := now
	if im.hold {
		charged.Adds = 0
	}
	charged.Owed = im.planned(len(gone))
	if err := n.remember(charged); err != nil {
		return err
	}
	if err = im.takeAll(ctx, path, several, gone, tell); err == nil {
		err = im.finish(path, left)
	}
	if err == nil {
		charged.Adds, charged.Retracts, charged.Done = res.Added+res.Revised, res.Retracted, true
	}
	if res.Added+res.Revised+res.Retracted == 0 && !res.Done { // nothing came of it
		charged.Owed = nil
		return errors.Join(err, n.remember(charged))
	}
	return errors.Join(err, im.record(ctx, charged))
}

// takeAll takes the list; what it has come to by then stands in the result, also where it ends in between.
func (im *listImport) takeAll(ctx context.Context, path string, several bool, gone []uint32, tell func(api.ImportProgress)) (err error) {
	res := &im.result
	// A file that has another id now may have been in its own way: once more, where something has gone.
	for pass := 0; ; pass++ {
		before, overrides := *res, im.overrides
		err := im.take(ctx, path, several, gone, tell)
		more := im.blocked > 0 && res.Retracted > 0 && !several && !im.hold && pass < 2
		if pass > 0 {
			res.Added, res.Revised, res.Retracted, res.Unchanged = res.Added+before.Added, res.Revised+before.Revised, res.Retracted+before.Retracted, before.Unchanged
			for _, sum := range []struct{ to, from map[string]int }{{res.Facts, before.Facts}, {res.Kinds, before.Kinds}, {im.overrides, overrides}} {
				for k, v := range sum.from {
					sum.to[k] += v
				}
			}
		}
		if err != nil || !more {
			return err
		}
		gone = nil
		if im.taken, err = im.n.readTaken(im.name); err != nil {
			return err
		}
	}
}

// finish says whether all was taken, and keeps the list where it wasn't.
func (im *listImport) finish(path string, left int) (err error) {
	n, res := im.n, &im.result
	if res.Done = res.Waiting == 0; !res.Done && im.hold {
		if res.Held, err = im.keepHeld(path); err != nil {
			return err
		}
		res.Why = fmt.Sprintf("%d additions and changes, and source %s may bring %d more today: they are held", res.Waiting, res.Source, left)
	} else if !res.Done {
		res.Why = fmt.Sprintf("%d additions and changes wait until batch %s is approved: import the list again then", res.Waiting, res.Batch)
	}
	if res.Done && !im.released { // it may have been held before
		if err := os.Remove(filepath.Join(n.dir.imports(), heldName(im.idOfHeld()))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// found makes the feed private.
func (im *listImport) found(ctx context.Context) error {
	charter := newCharter(im.name, string(im.harm), "", nil, im.n.now())
	if _, err := im.n.createOwn(ctx, charter, api.CreateFeed{Name: privateFeed}); err != nil {
		return fmt.Errorf("make feed %s: %w", im.name, err)
	}
	if im.v = im.n.viewNamed(im.name); im.v == nil {
		return fmt.Errorf("make feed %s: it can't be read", im.name)
	}
	return nil
}
