package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"hashfeed/feed"
	"hashfeed/node/api"
)

const (
	// backupDue is how old the last backup may be: what was published since is lost with the disk, unless a member has it.
	backupDue = 7 * 24 * time.Hour
	// memberDue is how long a member may lag behind a head: it cosigns within seconds when it is connected.
	memberDue = time.Hour
	// spareFiles is how many open files a node needs besides two a connection: tables of the database, logs, sockets.
	spareFiles = 512
)

// Doctor looks at what an operator would look at, and names the command that mends each thing. Nothing is changed, and nothing large is read:
// that is Fsck's.
func (n *Node) Doctor(ctx context.Context) ([]api.Finding, error) {
	d := doctor{n: n, now: n.now(), found: []api.Finding{}}
	d.files()
	d.config()
	d.disk()
	d.backup()
	if err := d.feeds(ctx); err != nil {
		return nil, err
	}
	d.peers()
	return d.found, nil
}

// Doctor looks at a directory that no daemon serves. Where no node opens in it, it says why.
func Doctor(ctx context.Context, dir string, o Options) ([]api.Finding, error) {
	n, err := Open(dir, o)
	if err == nil {
		defer n.Close()
		return n.Doctor(ctx)
	}
	found := []api.Finding{}
	for f, fsckErr := range Fsck(ctx, dir, FsckOptions{Options: o}) {
		if fsckErr != nil {
			return found, err
		}
		found = append(found, f)
	}
	if len(found) == 0 {
		return found, err
	}
	return found, nil
}

type doctor struct {
	n     *Node
	now   time.Time
	found []api.Finding
}

func (d *doctor) warn(kind, where, text, means, remedy string) {
	d.found = append(d.found, api.Finding{Kind: kind, Where: where, Text: text, Means: means, Remedy: remedy, State: api.FindingWarning})
}

// files looks at the keys and small files, as fsck does.
func (d *doctor) files() {
	n := d.n
	check := fileCheck{dir: n.dir, passphrase: n.keys.passphrase, chain: n.chainOf, report: func(f api.Finding) { d.found = append(d.found, f) }}
	check.run()
	check.journal(context.Background(), false)
	if !Sealed(string(n.dir)) {
		d.warn("key", "keys", "the keys are not sealed with a passphrase", "whoever copies the disk, or a backup that isn't sealed, has them",
			"keep DIR on an encrypted disk; for a new node: hashfeed init --passphrase-file FILE")
	}
}

func (d *doctor) config() {
	c := d.n.config.Load()
	host, _, err := net.SplitHostPort(c.API)
	if ip, ipErr := netip.ParseAddr(host); err == nil && ipErr == nil && !ip.IsLoopback() {
		d.warn("config", "hashfeed.toml", fmt.Sprintf("the API listens at %s, which is no loopback address", c.API), "tokens and hashes cross the network in clear",
			"set api to 127.0.0.1 and put a proxy with TLS before it; SIGHUP isn't enough, restart")
	}
	if err := c.CheckFiles(string(d.n.dir)); err != nil {
		d.warn("config", "hashfeed.toml", err.Error(), "the daemon doesn't start with it, or take a change over", "hashfeed config check")
	}
	for _, text := range c.notifyWarnings() {
		d.warn("config", "hashfeed.toml", text, "what happens here may be told to somebody else", "see that the address is the desk's, and its certificate too")
	}
	for _, b := range d.n.known().Blooms {
		if b.Faulted() {
			d.warn("knowngood", b.Path, "the filter's file was cut short while it was in use", "what it alone knows to be good can be listed, and blocked",
				"put the file back by renaming a whole one over it, then SIGHUP")
		}
	}
	if limit, ok := openFiles(); ok && limit < uint64(2*c.Limits.Connections+spareFiles) {
		d.warn("limits", "", fmt.Sprintf("%d files may be open at once, %d connections may need %d", limit, c.Limits.Connections, 2*c.Limits.Connections+spareFiles),
			"peers are turned away, or the database fails, when it is busiest", "LimitNOFILE=65536 in the systemd unit, or ulimit -n 65536")
	}
}

// disk warns before the reserve is reached; when it is, there is an alarm.
func (d *doctor) disk() {
	free, err := d.n.store.FreeSpace()
	if err != nil {
		d.warn("disk", "", err.Error(), "whether there is room isn't known", "see whether DIR's file system is mounted and sound")
		return
	}
	if reserve := uint64(d.n.config.Load().Limits.Reserve); free >= reserve && free < 4*reserve {
		d.warn("disk", "", fmt.Sprintf("%s free, nothing more is stored below %s", humanize.IBytes(free), humanize.IBytes(reserve)),
			"soon nothing new arrives, retractions neither", "free disk space, or lower reserve in [limits]")
	}
}

func (d *doctor) backup() {
	own := false
	for _, v := range *d.n.views.Load() {
		own = own || v != nil && v.own && d.n.store.Size(v.reading.Load().chain.Newest().Origin()) > 0
	}
	if !own {
		return // what is followed comes again from peers
	}
	text := "there was no backup yet"
	if data, err := d.n.store.Cursor(backupCursor); err == nil && len(data) > 0 {
		at, err := strconv.ParseInt(string(data), 10, 64)
		if err == nil && d.now.Sub(time.Unix(at, 0)) < backupDue {
			return
		}
		text = fmt.Sprintf("the last backup is of %s", timeText(at))
	}
	d.warn("backup", "", text, "with this disk the keys would be lost, and what no member has", "hashfeed backup FILE, and keep it elsewhere")
}

// feeds says what the alarms say, and what isn't an alarm yet.
func (d *doctor) feeds(ctx context.Context) error {
	infos, err := d.n.Feeds(ctx)
	if err != nil {
		return err
	}
	for _, a := range d.n.alarms(infos, d.n.openDisputes()) {
		f := api.Finding{Kind: a.Code, Where: a.Feed, Text: a.Text, Means: "an alarm since " + a.Since, Remedy: a.Remedy, State: api.FindingWarning}
		if a.Code == alarmDamaged {
			f.State = api.FindingDamaged
		}
		d.found = append(d.found, f)
	}
	for _, f := range infos {
		if f.State == "waiting" {
			d.warn("feed", f.Origin, f.StateText, "nothing of it matches", "ask its publisher to make this node a member: hashfeed id tells the peer id")
		}
	}
	for _, v := range *d.n.views.Load() {
		if v != nil && v.own {
			d.own(v)
		}
	}
	return nil
}

// own looks at an own feed that others read.
func (d *doctor) own(v *view) {
	charter := v.reading.Load().chain.Newest()
	if len(charter.Audience) == 0 {
		return
	}
	if _, err := os.Stat(d.n.dir.rootKey(v.name)); err == nil {
		d.warn("key", "keys/feeds/"+v.name.Short()+"/root", "the root key is on this machine", "whoever breaks into it can sign a charter, and take the feed over for good",
			"copy the file to a medium that you keep offline, twice, try the copy, and delete it here")
	}
	if charter.Contact == "none" {
		d.warn("feed", string(v.name), "its charter names no contact", "a host that doubts a record has nobody to call", "hashfeed feed charter propose")
	}
	d.members(v, charter)
}

// members looks for those that lag.
func (d *doctor) members(v *view, charter feed.Charter) {
	members, err := d.n.readMembers(v.name)
	if err != nil || len(members) == 0 {
		return // the files have told
	}
	head := v.reading.Load().head
	first, ok := d.n.store.Seen(charter.Origin(), head.Size)
	if !ok || d.now.Sub(time.Unix(first.Stamp, 0)) < memberDue {
		return
	}
	cosigners := d.n.cosigners(v)
	if len(cosigners) == 0 {
		d.warn("members", string(v.name), fmt.Sprintf("none of %d members has stored it", len(members)), "what is published reaches nobody, and is lost with this disk",
			"see whether peers reach this node (hashfeed peer list), and whether they follow the feed")
		return
	}
	for _, c := range cosigners {
		if c.Size < head.Size {
			d.warn("members", string(v.name), fmt.Sprintf("%s has %d of %d records, since %s", c.Name, c.Size, head.Size, c.Time), "retractions haven't reached it",
				"call its operator: hashfeed member list")
		}
	}
}

// peers looks for those that should be connected.
func (d *doctor) peers() {
	w := d.n.network.Load()
	if w == nil {
		d.warn("daemon", "", "no daemon runs", "nothing is received, published items reach nobody, and the feed goes stale", "hashfeed run")
		return
	}
	for _, p := range w.peers() {
		if !p.Connected {
			d.warn("peer", p.PeerID, fmt.Sprintf("%s isn't connected", p.Name), "what it has comes later, or through others",
				"is it up, and do its address and ours answer? hashfeed peer list; hashfeed peer add PEER_ID MULTIADDR")
		}
	}
}
