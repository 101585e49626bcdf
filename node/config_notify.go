package node

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"hashfeed/node/api"
	"hashfeed/node/notify"
)

// Notify is one that is told of what happens here: a web hook (URL) or a program (Command). What is told has no hash in it and names no
// person; it does tell which records matched, and the reference that the caller of scan gave.
type Notify struct {
	// Name is what the target is called in logs and metrics; it names its queue in DIR/notify. A target that is renamed begins with an
	// empty queue.
	Name string `toml:"name" json:"name"`

	// URL is where events are posted: https, or http to this machine. Redirects aren't followed and proxies not asked. An address in a local
	// network is warned about: whoever answers there gets what this node tells. It is shown by config show, so a URL whose path is the
	// receiver's only secret doesn't belong here.
	URL string `toml:"url" json:"url"`

	// SecretFile is a file with the secret that signs what goes to URL, base64 of 24 to 64 bytes (openssl rand -base64 32), readable by its
	// owner alone; a path below DIR or a full one. Two lines while the receiver changes from one secret to the next: both sign.
	SecretFile string `toml:"secret_file" json:"secret_file"`

	// Command is a program, by its full path, and its words. It gets each event as a line on standard input, and 30 seconds. Every process of
	// this machine can read its words: no secret belongs there.
	Command []string `toml:"command" json:"command"`

	// On is what the target is told of: block, review, retraction, dispute, alarm, test. Default all but test, which is a match of test records.
	On []string `toml:"on" json:"on"`
}

// setDefaults fills in what was left out.
func (t *Notify) setDefaults() {
	if t.On == nil {
		t.On = slices.DeleteFunc(api.EventKinds(), func(kind string) bool { return kind == api.EventTest })
	}
}

// target is what t says, without its secrets.
func (t Notify) target() notify.Target {
	return notify.Target{Name: t.Name, URL: t.URL, Command: t.Command, Kinds: t.On}
}

func (t Notify) check() error {
	if err := t.target().Check(); err != nil {
		return err
	}
	if (t.SecretFile == "") == (t.URL != "") {
		return errors.New("secret_file: want one for a url, and none for a command")
	}
	if len(t.On) == 0 {
		return errors.New("on: name at least one kind of event; who is told of nothing need not stand here")
	}
	for i, kind := range t.On {
		if !slices.Contains(api.EventKinds(), kind) {
			return fmt.Errorf("on %.20q: want block, review, retraction, dispute, alarm or test", kind)
		}
		if slices.Contains(t.On[:i], kind) {
			return fmt.Errorf("on: %s stands there twice", kind)
		}
	}
	return nil
}

func checkNotify(targets []Notify) (problems []error) {
	seen := map[string]bool{}
	for _, t := range targets {
		if err := t.check(); err != nil {
			problems = append(problems, fmt.Errorf("[[notify]] %.40q: %w", t.Name, err))
		}
		if seen[t.Name] {
			problems = append(problems, fmt.Errorf("[[notify]] %.40q stands there twice", t.Name))
		}
		seen[t.Name] = true
	}
	if len(targets) > maxNotify {
		problems = append(problems, fmt.Errorf("[[notify]]: more than %d", maxNotify))
	}
	return problems
}

// targets are those of the config with their secrets, which are read now.
func (c *Config) targets(dir layout) ([]notify.Target, error) {
	var all []notify.Target
	for _, t := range c.Notify {
		target := t.target()
		if t.URL != "" {
			path := t.SecretFile
			if !filepath.IsAbs(path) {
				path = filepath.Join(string(dir), path)
			}
			var err error
			if target.Secrets, err = notify.ReadSecrets(path); err != nil {
				return nil, fmt.Errorf("[[notify]] %s: %w", t.Name, err)
			}
		}
		all = append(all, target)
	}
	return all, nil
}

// CheckFiles says what is wrong with the files that the config of a node in dir names.
func (c *Config) CheckFiles(dir string) error {
	_, err := c.targets(layout(dir))
	return err
}

// notifyWarnings names the targets that are told at an address of a local network.
func (c *Config) notifyWarnings() (texts []string) {
	for _, t := range c.Notify {
		if t.target().Private() {
			texts = append(texts, fmt.Sprintf("[[notify]] %s: its url is an address of a local network: whoever answers there gets what this node tells", t.Name))
		}
	}
	return texts
}
