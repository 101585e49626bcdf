package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"hashfeed/crypto"
	"hashfeed/node"
	"hashfeed/node/api"
)

func approveCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "approve", Usage: "show and sign the batches that await approval", ArgsUsage: "[BATCH]",
		Description: "Without BATCH it lists what awaits approval in feeds that several must sign. With it, it fetches all that is signed, checks it\n" +
			"here, shows it, asks, and signs with your own key: --key FILE, or else the one in your ssh-agent. The key goes nowhere.\n" +
			"What you sign is remembered first (FILE.signed): a signer never signs two heads that can't both be true.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "key", Usage: "sign with the key in `FILE`; default the ssh-agent's (SSH_AUTH_SOCK)"},
			&cli.StringFlag{Name: "signed", Usage: "remember what was signed in `FILE`; default beside the key, for an agent's below $XDG_STATE_HOME/hashfeed"},
			&cli.StringFlag{Name: "api", Usage: "ask the node at `URL` instead of this machine's: https, or http on loopback"},
			&cli.StringFlag{Name: "token-file", Usage: "with --api: read a token of scope publish from `FILE`"},
			&cli.BoolFlag{Name: "yes", Usage: "sign without asking"},
			&cli.BoolFlag{Name: "withdraw", Usage: "drop the batch instead; with --key also as that signer's word never to sign it"},
			aloneFlag(), passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 1); err != nil {
				return err
			}
			do := func(door api.Verbs) error {
				switch {
				case c.NArg() == 0 && !c.Bool("withdraw"):
					return listBatches(e, c, door)
				case c.Bool("withdraw"):
					return withdraw(e, c, door)
				}
				return approve(e, c, door)
			}
			if c.String("api") != "" {
				return e.withURL(c, do)
			}
			return e.withDoor(c, do)
		},
	}
}

// withURL is withDoor for a node elsewhere: whoever approves need not have an account on the publisher's machine.
func (e *env) withURL(c *cli.Context, do func(api.Verbs) error) error {
	path := c.String("token-file")
	if path == "" {
		return usagef("%s: --api needs --token-file", c.Command.Name)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read token: %w", err)
	}
	defer f.Close()
	token, err := io.ReadAll(io.LimitReader(f, maxPassphrase))
	if err != nil {
		return fmt.Errorf("read token: %w", err)
	}
	if c.Bool("alone") {
		return usagef("%s: --alone is for whoever has the node's machine", c.Command.Name)
	}
	client, err := api.DialURL(c.String("api"), strings.TrimSpace(string(token)))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := do(client); err != nil {
		return fmt.Errorf("%s: %w", c.Command.Name, err)
	}
	return nil
}

func listBatches(e *env, c *cli.Context, door api.Verbs) error {
	list, err := door.Batches(c.Context)
	if err != nil {
		return err
	}
	for _, b := range list {
		if c.Bool("json") {
			if err := e.printJSON(b); err != nil {
				return err
			}
			continue
		}
		showBatch(e, b)
	}
	if len(list) == 0 {
		fmt.Fprintln(e.stderr, "no batch awaits approval")
	}
	return nil
}

func approve(e *env, c *cli.Context, door api.Verbs) error {
	review, err := node.ReviewBatch(c.Context, door, c.Args().First())
	if err != nil {
		return err
	}
	signer, record, err := e.signerOf(c, review.Signers())
	if err != nil {
		return err
	}
	if !c.Bool("json") {
		showBatch(e, review.Batch)
		fmt.Fprintf(e.stdout, "  anchor %s\n  read   %s\n", review.Anchor, review.Anchor.Digits())
	}
	if err := e.confirm(c, fmt.Sprintf("sign it as %s?", signer.Public())); err != nil {
		return err
	}
	approved, err := review.Approve(c.Context, door, signer, record, time.Now())
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return e.printJSON(approved)
	}
	if !approved.Published {
		_, err = fmt.Fprintf(e.stdout, "signed by %d, of %d that are needed\n", approved.Signed, approved.Needs)
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "published: %s has %d records\n", approved.Origin, approved.Size)
	return err
}

func withdraw(e *env, c *cli.Context, door api.Verbs) error {
	id := c.Args().First()
	if id == "" {
		list, err := door.Batches(c.Context)
		if err != nil {
			return err
		}
		if len(list) != 1 {
			return usagef("%d batches await approval: say which is withdrawn", len(list))
		}
		id = list[0].ID
	}
	if err := withdrawAs(e, c, door, id); err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "batch %s is withdrawn\n", id)
	return nil
}

// withdrawAs drops a batch; with --key also in the name of that signer.
func withdrawAs(e *env, c *cli.Context, door api.Verbs, id string) error {
	if c.String("key") == "" {
		return door.Withdraw(c.Context, id, "")
	}
	review, err := node.ReviewBatch(c.Context, door, id)
	if err != nil {
		return err
	}
	signer, record, err := e.signerOf(c, review.Signers())
	if err != nil {
		return err
	}
	return review.Withdraw(c.Context, door, signer, record, time.Now())
}

// signerOf finds the key that signs, and the file that remembers what it has signed.
func (e *env) signerOf(c *cli.Context, signers []crypto.PublicKey) (crypto.Signer, string, error) {
	record := c.String("signed")
	if path := c.String("key"); path != "" {
		key, err := e.loadKey(c, path)
		if err != nil {
			return nil, "", err
		}
		if !slices.Contains(signers, key.Public()) {
			return nil, "", fmt.Errorf("%s is no signer of this feed: %s", path, key.Public())
		}
		if record == "" {
			record = path + ".signed"
		}
		return key, record, nil
	}
	if os.Getenv("SSH_AUTH_SOCK") == "" {
		return nil, "", usagef("--key FILE is missing, and there is no ssh-agent")
	}
	held, err := node.AgentKeys(signers[0].Name)
	if err != nil {
		return nil, "", err
	}
	for _, k := range held {
		if !slices.Contains(signers, k.Public) {
			continue
		}
		if record == "" {
			if record, err = stateFile("signed", fmt.Sprintf("%s_%08x", strings.ReplaceAll(k.Public.Name, "/", "_"), k.Public.ID())); err != nil {
				return nil, "", err
			}
		}
		return node.AgentSigner(k.Public), record, nil
	}
	return nil, "", errors.New("the ssh-agent has no key of a signer of this feed (hashfeed signer agent lists its keys; --key FILE names another)")
}

// stateFile is a file below $XDG_STATE_HOME/hashfeed, by default ~/.local/state/hashfeed: what must outlive the command and
// belongs to the user, not to a node.
func stateFile(path ...string) (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the user's state: %w (use --signed)", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(append([]string{state, "hashfeed"}, path...)...), nil
}

// confirm wants a yes from the terminal, or --yes.
func (e *env) confirm(c *cli.Context, question string) error {
	if c.Bool("yes") {
		return nil
	}
	f, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return usagef("--yes is missing, and there is no terminal to ask on")
	}
	fmt.Fprintf(e.stderr, "%s [yes/no] ", question)
	answer, err := bufio.NewReader(f).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("not confirmed: nothing is done")
	}
	return nil
}

func showBatch(e *env, b api.Batch) {
	fmt.Fprintf(e.stdout, "batch %s of %s, proposed %s\n", b.ID, b.Origin, b.Proposed)
	if b.Opening {
		fmt.Fprintf(e.stdout, "  opens the log, which has no records yet\n")
	} else {
		fmt.Fprintf(e.stdout, "  records %d to %d: %s\n", b.From, b.Size-1, counts(b.Ops))
	}
	for _, line := range []struct {
		what string
		of   map[string]int
	}{{"verdicts", b.Verdicts}, {"media", b.Media}, {"hashes", b.Kinds}} {
		if len(line.of) > 0 {
			fmt.Fprintf(e.stdout, "  %s: %s\n", line.what, counts(line.of))
		}
	}
	if !b.Opening {
		fmt.Fprintf(e.stdout, "  known-good: %d of %d, %d with an override\n", b.KnownGood, b.Size-b.From, b.Overrides)
	}
	for _, s := range b.Sample {
		words := []string{s.Ref, s.Op}
		for _, w := range append([]string{s.Reason, s.Verdict, s.Media, s.Subject}, s.Hashes...) {
			if w != "" {
				words = append(words, w)
			}
		}
		if s.KnownGood != "" {
			words = append(words, "KNOWN GOOD:", s.KnownGood)
		}
		fmt.Fprintf(e.stdout, "    %s\n", strings.Join(words, " "))
	}
	fmt.Fprintf(e.stdout, "  signed by %d, of %d that are needed\n", b.Signed, b.Needs)
	for _, s := range b.Signers {
		state := "not yet"
		switch {
		case s.Signed:
			state = "signed"
		case s.Own:
			state = "this node's: signs last"
		}
		fmt.Fprintf(e.stdout, "    %s: %s\n", s.VKey, state)
	}
}

// counts is "3 add, 1 retract".
func counts(of map[string]int) string {
	var words []string
	for _, k := range slices.Sorted(maps.Keys(of)) {
		words = append(words, fmt.Sprintf("%d %s", of[k], k))
	}
	return strings.Join(words, ", ")
}
