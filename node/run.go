package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"hashfeed/node/api"
)

// RunOptions are what a run of the daemon differs in from the config.
type RunOptions struct {
	Listen []string         // replaces the config's, if any
	API    string           // replaces the config's, if set
	Alone  bool             // sign though no member's head was heard
	Reload <-chan os.Signal // each reads the config again
	Logger *slog.Logger
	Ready  func(Ready) // called once, when everything serves
}

// LogLevel is the config's log_level.
func (n *Node) LogLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(n.config.Load().LogLevel)); err != nil {
		return slog.LevelInfo // the config was checked
	}
	return level
}

// Ready is what the daemon says when it serves.
type Ready struct {
	Peer   string
	Listen []string
	API    string
	Socket string
}

// String is the line that those who start a daemon wait for.
func (r Ready) String() string {
	return fmt.Sprintf("ready peer=%s listen=%s api=http://%s socket=%s", r.Peer, strings.Join(r.Listen, ","), r.API, r.Socket)
}

// Run serves until ctx ends: the socket, the HTTP API, the peers; and stamps the own feeds. What it started it stops in
// reverse.
func (n *Node) Run(ctx context.Context, o RunOptions) (err error) {
	if o.Logger != nil {
		n.log = o.Logger
	}
	n.alone.Store(o.Alone)
	n.compareConfig()
	n.keepConfig()
	n.warnConfig()
	config := n.config.Load()
	if config.Limits.Memory > 0 {
		debug.SetMemoryLimit(int64(config.Limits.Memory))
	}
	if o.API == "" {
		o.API = config.API
	}
	if len(o.Listen) == 0 {
		o.Listen = config.Listen
	}
	if err := CheckAPI(o.API); err != nil {
		return err
	}

	var stops []func() error
	defer func() {
		for i := len(stops) - 1; i >= 0; i-- {
			err = errors.Join(err, stops[i]())
		}
	}()

	tcp, err := net.Listen("tcp", o.API)
	if err != nil {
		return fmt.Errorf("open the API's port: %w", err)
	}
	stops = append(stops, func() error { return ignoreClosed(tcp.Close()) })
	socket, path, err := listenSocket(n.dir)
	if err != nil {
		return err
	}
	stops = append(stops, func() error { return ignoreClosed(socket.Close()) })

	network, err := n.join(o.Listen)
	if err != nil {
		return err
	}
	stops = append(stops, func() error {
		n.network.Store(nil)
		return network.Close()
	})

	server := api.NewServer(n, n.apiOptions())
	doors := []door{{server.Listen(tcp), server.TCP()}, {socket, server.Socket()}}
	if config.Monitor.Listen != "" {
		public, err := net.Listen("tcp", config.Monitor.Listen)
		if err != nil {
			return fmt.Errorf("open the monitor's port: %w", err)
		}
		stops = append(stops, func() error { return ignoreClosed(public.Close()) })
		n.log.Info("monitor", "listen", public.Addr())
		doors = append(doors, door{public, api.NewMonitor(n, n.log)})
	}
	failed := make(chan error, len(doors))
	for _, door := range doors {
		go func() { failed <- door.http.Serve(door.listener) }()
		stops = append(stops, func() error {
			end, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
			defer cancel()
			if err := door.http.Shutdown(end); err != nil {
				return door.http.Close() // some client is slow; it will ask again
			}
			return nil
		})
	}
	n.doors.Store(&doorsOpen{api: tcp.Addr(), socket: path})
	stops = append(stops, func() error {
		n.doors.Store(nil)
		return nil
	})
	stopNews, err := n.startNews(ctx)
	if err != nil {
		return err
	}
	stops = append(stops, stopNews)
	stamping, stopStamps := context.WithCancel(ctx)
	stamped := make(chan struct{})
	go func() {
		defer close(stamped)
		n.stampHourly(stamping)
	}()
	stops = append(stops, func() error {
		stopStamps()
		<-stamped
		return nil
	})
	scrubbing, stopScrub := context.WithCancel(ctx)
	scrubbed := make(chan struct{})
	go func() {
		defer close(scrubbed)
		n.scrub(scrubbing)
	}()
	stops = append(stops, func() error {
		stopScrub()
		<-scrubbed
		return nil
	})

	erasing, stopErasing := context.WithCancel(ctx)
	erased := make(chan struct{})
	go func() {
		defer close(erased)
		n.eraseDue(erasing)
	}()
	stops = append(stops, func() error {
		stopErasing()
		<-erased
		return nil
	})

	telling, stopTelling := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		n.tellDoubts(telling)
	}()
	stops = append(stops, func() error {
		stopTelling()
		<-told
		return nil
	})

	purging, stopPurging := context.WithCancel(ctx)
	purged := make(chan struct{})
	go func() {
		defer close(purged)
		n.purgeJournal(purging)
	}()
	stops = append(stops, func() error {
		stopPurging()
		<-purged
		return nil
	})

	settling, stopSettling := context.WithCancel(ctx)
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		n.settleDue(settling)
	}()
	stops = append(stops, func() error {
		stopSettling()
		<-settled
		return nil
	})

	sharing, stopSharing := context.WithCancel(ctx)
	shared := make(chan struct{})
	go func() {
		defer close(shared)
		n.shareCounts(sharing)
	}()
	stops = append(stops, func() error {
		stopSharing()
		<-shared
		return nil
	})

	saving, stopSaving := context.WithCancel(ctx)
	saved := make(chan struct{})
	go func() {
		defer close(saved)
		n.snapshots(saving)
	}()
	stops = append(stops, func() error {
		stopSaving()
		<-saved
		return nil
	})

	n.log.Info("serving", "name", config.Name, "peer", n.keys.peerID(), "api", tcp.Addr())
	if o.Ready != nil {
		o.Ready(Ready{Peer: n.keys.peerID(), Listen: n.addresses(), API: tcp.Addr().String(), Socket: path})
	}
	for {
		select {
		case <-ctx.Done():
			n.log.Info("stopping")
			return nil
		case err := <-failed:
			return fmt.Errorf("serve the API: %w", err)
		case <-o.Reload:
			if err := n.Reload(); err != nil {
				n.log.Error("config not reloaded", "err", err)
			}
		}
	}
}

// door is a listener and what answers there.
type door struct {
	listener net.Listener
	http     *http.Server
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Reload reads the config again; a bad one changes nothing.
func (n *Node) Reload() error {
	config, err := LoadConfig(n.dir.config())
	if err != nil {
		return err
	}
	old := n.config.Load()
	if config.Name != old.Name {
		return fmt.Errorf("reload config: the name was %s: a node can't be renamed", old.Name)
	}
	targets, err := config.targets(n.dir)
	if err != nil {
		return fmt.Errorf("reload config: %w", err)
	}
	if err := n.reloadKnown(&config); err != nil {
		return err
	}
	if err := n.news.notifier.SetTargets(targets); err != nil {
		return fmt.Errorf("reload config: %w", err)
	}
	n.config.Store(&config)
	n.keepConfig()
	n.decide()
	if net := n.network.Load(); net != nil {
		net.changed()
	}
	n.warnConfig()
	n.log.Info("config reloaded")
	return nil
}

func (n *Node) apiOptions() api.Options {
	config := n.config.Load()
	return api.Options{Tokens: n.scopes, Events: n.listen, Hosts: config.APIHosts, Logger: n.log, Registry: n.registry, Version: Version,
		Limits: api.Limits{Requests: config.Limits.Requests, ScanBytes: int64(config.Limits.ScanBytes)}, Ready: n.Ready, Part: n.part}
}

// shutdownTimeout is how long a stopping daemon waits for requests that are being answered.
const shutdownTimeout = 5 * time.Second

// stampHourly keeps the own feeds fresh.
func (n *Node) stampHourly(ctx context.Context) {
	tick := time.NewTicker(stampLook)
	defer tick.Stop()
	for {
		n.stampDue(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
