package notify

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Target is who is told: by URL a web hook, by Command a program.
type Target struct {
	Name    string   // names its queue's file
	URL     string   // https, or http to this machine
	Secrets [][]byte // that sign what goes to URL, as ParseSecrets reads them
	Command []string // the program's path and its words
	Kinds   []string // of the messages that it wants
}

// Check says what is wrong with t, its secrets excepted.
func (t Target) Check() error {
	switch {
	case !plain(t.Name) || len(t.Name) > maxName || t.Name != strings.ToLower(t.Name):
		return fmt.Errorf("name: want 1 to %d of a-z, 0-9, - and _", maxName)
	case (t.URL == "") == (len(t.Command) == 0):
		return errors.New("want either a url or a command")
	case t.URL != "":
		_, err := parseHook(t.URL)
		return err
	}
	return checkCommand(t.Command)
}

// wants says whether a message of that kind goes to t.
func (t Target) wants(kind string) bool { return slices.Contains(t.Kinds, kind) }

// same says whether t is reached as o is: then what is going on with it may go on.
func (t Target) same(o Target) bool { return reflect.DeepEqual(t, o) }

// parseHook reads a hook's URL. Its errors don't repeat it: some have a secret in their path.
func parseHook(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURL || u.Host == "" || u.Opaque != "" {
		return nil, errors.New("url: want one such as https://desk.example/hashfeed")
	}
	switch {
	case u.User != nil:
		return nil, errors.New("url: a name and password don't belong there: the signature tells who we are (secret_file)")
	case u.Fragment != "":
		return nil, errors.New("url: the part after # is never sent")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return nil, errors.New("url: want https; plain http only to this machine")
}

// loopback says whether a host can only be this machine. That a name leads there is checked again when it is dialled.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Private says whether a hook's host is written as an address that only a local network can reach.
func (t Target) Private() bool {
	u, err := parseHook(t.URL)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && private(ip)
}

// shared is the address space of carriers' NATs, RFC 6598.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// private says whether an address isn't one of the open internet, nor this machine.
func private(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || shared.Contains(ip)
}

func checkCommand(words []string) error {
	if !filepath.IsAbs(words[0]) {
		return errors.New("command: want the program's full path as its first word; no shell and no PATH is asked")
	}
	if len(words) > maxWords {
		return fmt.Errorf("command: more than %d words", maxWords)
	}
	for _, w := range words {
		if len(w) > maxWord || strings.ContainsRune(w, 0) {
			return fmt.Errorf("command: want words of at most %d bytes, without zeros", maxWord)
		}
	}
	return nil
}
