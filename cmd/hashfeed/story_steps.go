package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// knownFeed is the hotline's.
const knownFeed feed.Name = "hotline.example/known"

// storySteps are the story, in order. The tests break each in turn and see that it is noticed.
var storySteps = []step{
	{"start", do((*story).startStep)}, {"pair", do((*story).pairStep)}, {"no-verdict", do((*story).noVerdictStep)}, {"publish", do((*story).publishStep)},
	{"exact", do((*story).exactStep)}, {"jpeg", lookalike("jpeg", "re-encoded as JPEG of quality 60", func(m image.Image) image.Image { return m })},
	{"resize", lookalike("resize", "resized to 70 % and re-encoded", func(m image.Image) image.Image { return resized(m, 0.7) })},
	{"crop", lookalike("crop", "cropped by 1 % a side and re-encoded", func(m image.Image) image.Image { return cropped(m, 0.01) })},
	{"crop-10", do((*story).bigCropStep)}, {"unrelated", do((*story).unrelatedStep)}, {"tamper", do((*story).tamperStep)}, {"outsider", do((*story).outsiderStep)},
	{"retract", do((*story).retractStep)},
}

// breaks says whether the running step is to go wrong.
func (s *story) breaks(name string) bool { return s.broken == name }

func do(f func(*story, context.Context) (string, error)) func(context.Context, *story) (string, error) {
	return func(ctx context.Context, s *story) (string, error) { return f(s, ctx) }
}

func (s *story) startStep(ctx context.Context) (string, error) {
	var err error
	for _, a := range []struct {
		actor      **actor
		name, role string
	}{{&s.hotline, "hotline.example", "hotline"}, {&s.liaison, "liaison.example", "liaison"}, {&s.host, "host.example", "host"}} {
		if *a.actor, err = s.newActor(ctx, a.name, a.role); err != nil {
			return "", err
		}
		if s.breaks("start") {
			if err := os.WriteFile(filepath.Join((*a.actor).dir, "hashfeed.toml"), []byte("nonsense"), 0o600); err != nil {
				return "", err
			}
		}
		if err := s.start(ctx, *a.actor); err != nil {
			return "", err
		}
	}
	return "Three nodes were made and run: hotline.example, liaison.example, host.example", nil
}

func (s *story) pairStep(ctx context.Context) (string, error) {
	id, err := s.hotline.door.Identity(ctx)
	if err != nil {
		return "", err
	}
	for _, m := range []struct {
		a  *actor
		as string
	}{{s.liaison, "police"}, {s.host, "host"}} {
		if s.breaks("pair") && m.a == s.host {
			continue
		}
		if _, err := s.run(ctx, s.hotline, "member", "add", m.a.peer, "--name", m.a.name, "--as", m.as); err != nil {
			return "", err
		}
	}
	var digits string
	for _, follow := range [][]string{
		{"follow", id.Invite, "--verdicts", "baseline,national", "--action", "review", "--json"},
		{"follow", id.Invite, "--verdicts", "baseline,national", "--action", "block", "--near", "block", "--weak", "review", "--json"},
	} {
		a := s.liaison
		if follow[5] == "block" {
			a = s.host
		}
		out, err := s.run(ctx, a, follow...)
		if err != nil {
			return "", err
		}
		var f api.Followed
		if err := decodeLine(out, &f); err != nil {
			return "", err
		}
		digits = f.Digits
	}
	anchor, err := feed.ParseAnchor(id.Anchor)
	if err != nil {
		return "", err
	}
	if digits != anchor.Digits() {
		return "", fmt.Errorf("the digits to compare by telephone differ: %s and %s", digits, anchor.Digits())
	}
	for _, a := range []*actor{s.liaison, s.host} {
		if _, err := a.has(ctx, string(knownFeed), 0); err != nil {
			return "", err
		}
	}
	return "The hotline made the two members; both follow its feed, and read the same digits over the telephone: " + digits, nil
}

func (s *story) noVerdictStep(ctx context.Context) (string, error) {
	if err := s.save("known.jpg", jpegOf(s.known, 92)); err != nil {
		return "", err
	}
	verdict := "suspicious"
	if s.breaks("no-verdict") {
		verdict = "national"
	}
	_, err := s.run(ctx, s.hotline, "publish", "--verdict", verdict, s.path("known.jpg"))
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitUsage {
		return "", fmt.Errorf("publish --verdict %s: got %v, want exit code %d", verdict, err, exitUsage)
	}
	return "A verdict that isn't on the list of verdicts, \"suspicious\", was refused: nothing accuses by default", nil
}

func (s *story) publishStep(ctx context.Context) (string, error) {
	if !s.breaks("publish") {
		out, err := s.run(ctx, s.hotline, "publish", "--verdict", "national", s.path("known.jpg"))
		if err != nil {
			return "", err
		}
		var p api.Published
		if err := decodeLine(out, &p); err != nil {
			return "", err
		}
		s.ref = p.Ref
	}
	liaison, err := s.liaison.has(ctx, string(knownFeed), 1)
	if err != nil {
		return "", err
	}
	host, err := s.host.has(ctx, string(knownFeed), 1)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("The hotline published a picture's fingerprints; the liaison had them after another %s, the host %s later", round(liaison), round(host)), nil
}

func (s *story) exactStep(ctx context.Context) (string, error) {
	data := jpegOf(s.known, 92)
	if s.breaks("exact") {
		data = jpegOf(s.other, 92)
	}
	v, err := s.host.upload(ctx, data, policy.OutcomeBlock)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("The host was uploaded the very file: block, listed by %s as %s", v.Matches[0].Ref, v.Matches[0].Verdict), nil
}

// lookalike is a step in which the known picture is uploaded in other clothes.
func lookalike(name, what string, change func(image.Image) image.Image) func(context.Context, *story) (string, error) {
	return func(ctx context.Context, s *story) (string, error) {
		m := s.known
		if s.breaks(name) {
			m = s.other
		}
		v, err := s.host.upload(ctx, jpegOf(change(m), 60), policy.OutcomeBlock)
		if err != nil {
			return "", err
		}
		match, err := byPDQ(v)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("The picture %s: block, by %s at distance %d", what, match.Alg, match.Distance), nil
	}
}

func (s *story) bigCropStep(ctx context.Context) (string, error) {
	m := cropped(s.known, 0.10)
	if s.breaks("crop-10") {
		m = s.known
	}
	if _, err := s.host.upload(ctx, jpegOf(m, 60), policy.OutcomeAllow); err != nil {
		return "", err
	}
	return "The picture cropped by 10 % a side: not recognised. PDQ doesn't see through that, and we don't claim it", nil
}

func (s *story) unrelatedStep(ctx context.Context) (string, error) {
	m := s.other
	if s.breaks("unrelated") {
		m = s.known
	}
	if _, err := s.host.upload(ctx, jpegOf(m, 80), policy.OutcomeAllow); err != nil {
		return "", err
	}
	return "An unrelated picture: no match", nil
}

// tamperRecords is how many more records the tampering step lists: more than one bundle.
const tamperRecords = 300

func (s *story) tamperStep(ctx context.Context) (string, error) {
	liar, err := newMallory("mallory.example")
	if err != nil {
		return "", err
	}
	defer liar.close()
	if _, err := s.run(ctx, s.hotline, "member", "add", liar.peerID(), "--name", liar.name, "--as", "host"); err != nil {
		return "", err
	}
	if _, err := s.run(ctx, s.host, "peer", "add", liar.peerID(), liar.address(), "--name", liar.name); err != nil {
		return "", err
	}
	s.host.end()
	var request api.Publish
	for i := range tamperRecords {
		request.Items = append(request.Items, api.Item{Verdict: "national", Media: "image", Hashes: []string{fmt.Sprintf("md5:0123456789abcdef%016x", i)}})
	}
	if _, err := s.hotline.door.Publish(ctx, request); err != nil {
		return "", err
	}
	size := uint64(1 + tamperRecords)
	if _, err := s.liaison.has(ctx, string(knownFeed), size); err != nil {
		return "", err
	}
	if err := liar.steal(ctx, s.hotline, knownFeed); err != nil {
		return "", fmt.Errorf("the member mallory.example fetches the feed: %w", err)
	}
	// The host comes back while it can reach nobody but the liar.
	s.hotline.end()
	s.liaison.end()
	liar.serve(!s.breaks("tamper"))
	if err := s.start(ctx, s.host); err != nil {
		return "", err
	}
	took, err := until(ctx, func() (bool, error) {
		if err := liar.announce(ctx, s.host); err != nil && ctx.Err() != nil {
			return false, err
		}
		status, err := s.host.door.Status(ctx)
		if err != nil {
			return false, err
		}
		for _, f := range status.Feeds {
			if strings.HasPrefix(f.Origin, string(knownFeed)) && f.Size == size {
				return false, errors.New("the host took the whole feed from mallory.example: nothing was tampered with, or nothing was noticed")
			}
		}
		for _, a := range status.Alarms {
			if a.Code == "peer-lied" && strings.Contains(a.Text, liar.peerID()) {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return "", fmt.Errorf("the sender of a tampered bundle was not named: %w", err)
	}
	for _, a := range []*actor{s.liaison, s.hotline} {
		if err := s.start(ctx, a); err != nil {
			return "", err
		}
	}
	completed, err := s.host.has(ctx, string(knownFeed), size)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("A member tampered with a bundle on the wire: refused after %s, its sender named; the feed was completed from the others %s after they came back",
		round(took), round(completed)), nil
}

func (s *story) outsiderStep(ctx context.Context) (string, error) {
	outsider, err := newMallory("outsider.example")
	if err != nil {
		return "", err
	}
	defer outsider.close()
	if s.breaks("outsider") {
		if _, err := s.run(ctx, s.hotline, "member", "add", outsider.peerID(), "--name", outsider.name, "--as", "host"); err != nil {
			return "", err
		}
	}
	for _, a := range []*actor{s.hotline, s.liaison, s.host} {
		if err := outsider.getsNothing(ctx, a, knownFeed); err != nil {
			return "", fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return "An outsider that knows all addresses and protocols got nothing, from any of the three", nil
}

func (s *story) retractStep(ctx context.Context) (string, error) {
	if !s.breaks("retract") {
		if _, err := s.run(ctx, s.hotline, "retract", s.ref, "--reason", "false-positive"); err != nil {
			return "", err
		}
	}
	data := jpegOf(s.known, 92)
	took := make(map[string]time.Duration)
	for _, a := range []*actor{s.host, s.liaison} {
		d, err := until(ctx, func() (bool, error) {
			v, err := a.upload(ctx, data, policy.OutcomeAllow)
			return err == nil, ignoreVerdict(v, err)
		})
		if err != nil {
			return "", fmt.Errorf("%s still matches the retracted picture: %w", a.name, err)
		}
		took[a.name] = d
	}
	return fmt.Sprintf("The hotline retracted the record: the host matched no more after %s, the liaison %s later", round(took[s.host.name]), round(took[s.liaison.name])), nil
}

// ignoreVerdict tells an answer that isn't the wanted one yet from none at all.
func ignoreVerdict(v policy.Verdict, err error) error {
	if v.Verdict != "" {
		return nil
	}
	return err
}

func (s *story) path(name string) string { return filepath.Join(s.dir, name) }

func (s *story) save(name string, data []byte) error { return os.WriteFile(s.path(name), data, 0o600) }

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
