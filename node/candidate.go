package node

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"hashfeed/node/api"
)

// A candidate is a config that isn't in force: the journal is replayed under what it says of [policy], [own] and [[follow]], as if the node had
// started with it. It may be a whole hashfeed.toml, or only these tables: its name and role are this node's then.

// candidateName is what a candidate is called in errors where no file is known.
const candidateName = "config"

// ReadCandidate reads a candidate for the node in dir and checks it. Its errors name file and line, all problems at once.
func ReadCandidate(dir, path string) (text string, err error) {
	mine, err := LoadConfig(layout(dir).config())
	if err != nil {
		return "", err
	}
	data, err := readConfig(path)
	if err != nil {
		return "", err
	}
	_, err = parseCandidate(path, data, mine)
	return string(data), err
}

// parseCandidate parses and checks a candidate for the node whose config is mine.
func parseCandidate(name string, text []byte, mine Config) (Config, error) {
	role, err := roleIn(name, text)
	if err != nil {
		return Config{}, err
	}
	over := DefaultConfig(cmp.Or(role, mine.Role))
	over.Name = mine.Name
	c, err := parseOver(name, text, over)
	if err == nil && c.Name != mine.Name {
		err = fmt.Errorf("%s: it is the config of %s, and this node is %s", name, c.Name, mine.Name)
	}
	return c, err
}

// otherConfig is the config under which r wants the journal to be replayed, and what the operator hardly means by it: of a candidate all, of the
// config in force with something in its stead what isn't so now.
func (n *Node) otherConfig(r api.PolicyTest) (c Config, warnings []string, err error) {
	mine := n.config.Load()
	if r.Config == "" {
		if c, err = n.changedConfig(r); err != nil {
			return c, nil, err
		}
		now := policyWarnings(string(n.dir), *mine)
		warnings = slices.DeleteFunc(policyWarnings(string(n.dir), c), func(w string) bool { return slices.Contains(now, w) })
		return c, warnings, nil
	}
	if r.Feed != "" || r.Actions != (api.Actions{}) || r.MaxDistance != nil || r.Verdicts != nil || r.MinPublishers != nil {
		return c, nil, badRequest(errors.New("config: it says the whole policy, and stands without feed, action, action_near, action_weak, max_distance, verdicts and min_publishers"))
	}
	if c, err = parseCandidate(candidateName, []byte(r.Config), *mine); err != nil {
		return c, nil, badRequest(err)
	}
	return c, append(policyWarnings(string(n.dir), c), otherFollows(*mine, c)...), nil
}

// changedConfig is the config in force with what r says in its stead.
func (n *Node) changedConfig(r api.PolicyTest) (c Config, err error) {
	c = *n.config.Load()
	c.Follow = slices.Clone(c.Follow)
	if r.MinPublishers != nil {
		if c.Policy.MinPublishers = *r.MinPublishers; c.Policy.MinPublishers < 1 || c.Policy.MinPublishers > maxPublishers {
			return c, badRequest(fmt.Errorf("min_publishers %d: want 1 to %d", c.Policy.MinPublishers, maxPublishers))
		}
	}
	only := ""
	if r.Feed != "" {
		f, err := n.followed(r.Feed)
		if err != nil {
			return c, err
		}
		only = f.Feed
	}
	for i := range c.Follow {
		f := &c.Follow[i]
		if only != "" && f.Feed != only {
			continue
		}
		*f = f.withActions(r.Actions)
		if r.MaxDistance != nil {
			f.MaxDistance = *r.MaxDistance
		}
		if len(r.Verdicts) > 0 {
			f.Verdicts = r.Verdicts
		}
		if problems := f.check(c.Name); len(problems) > 0 {
			return c, badRequest(errors.Join(problems...))
		}
	}
	return c, nil
}

// policyWarnings are the warnings that a start with c would give about its policy.
func policyWarnings(dir string, c Config) []string {
	c.Notify = nil
	return ConfigWarnings(dir, c)
}

// otherFollows says which feeds a candidate follows that aren't followed now, and the other way about: the journal tells little of the first.
func otherFollows(mine, candidate Config) (warnings []string) {
	anchors := map[string]string{}
	for _, f := range mine.Follow {
		anchors[f.Feed] = f.Anchor
	}
	for _, f := range candidate.Follow {
		switch anchor, ok := anchors[f.Feed]; {
		case !ok:
			warnings = append(warnings, fmt.Sprintf("[[follow]] %s: it isn't followed here now: what it would match is not in the journal", f.Feed))
		case anchor != f.Anchor:
			warnings = append(warnings, fmt.Sprintf("[[follow]] %s: its anchor is another than the one that is followed now: what is in the journal was matched by the other feed", f.Feed))
		}
		delete(anchors, f.Feed)
	}
	for _, f := range mine.Follow {
		if _, left := anchors[f.Feed]; left {
			warnings = append(warnings, fmt.Sprintf("[[follow]] %s: it is followed now, and not by this config: its records would match nothing", f.Feed))
		}
	}
	return warnings
}
