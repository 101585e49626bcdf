package node

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"hashfeed/crypto"
)

// A signer's key may live in an ssh-agent, which signs and never gives it away: a plain Ed25519 key ("ssh-keygen -t
// ed25519"), since what such an agent makes of a text is the very signature that a note has. Certificates and keys on FIDO
// tokens sign something else.

// agentWait is how long an agent may take: it may ask its owner (ssh-add -c).
const agentWait = 2 * time.Minute

// askAgent connects to the agent that SSH_AUTH_SOCK names, and asks it something.
func askAgent(ask func(agent.Agent) error) error {
	path := os.Getenv("SSH_AUTH_SOCK")
	if path == "" {
		return errors.New("ask the ssh-agent: SSH_AUTH_SOCK names none")
	}
	conn, err := net.DialTimeout("unix", path, agentWait)
	if err != nil {
		return fmt.Errorf("ask the ssh-agent: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(agentWait)); err != nil {
		return fmt.Errorf("ask the ssh-agent: %w", err)
	}
	if err := ask(agent.NewClient(conn)); err != nil {
		return fmt.Errorf("ask the ssh-agent: %w", err)
	}
	return nil
}

// agentSigner is a key in the ssh-agent.
type agentSigner struct{ public crypto.PublicKey }

// AgentSigner returns the signer with a key of which the ssh-agent has the private part. The agent is asked only when it
// is to sign: the one that SSH_AUTH_SOCK names.
func AgentSigner(public crypto.PublicKey) crypto.Signer { return agentSigner{public} }

func (s agentSigner) Public() crypto.PublicKey { return s.public }

func (s agentSigner) Sign(text []byte) (line crypto.Line, err error) {
	key, err := ssh.NewPublicKey(ed25519.PublicKey(s.public.Key[:]))
	if err != nil {
		return crypto.Line{}, err
	}
	return line, askAgent(func(a agent.Agent) error {
		signature, err := a.Sign(key, text)
		if err != nil {
			return fmt.Errorf("sign as %s: %w", s.public, err)
		}
		if signature.Format != ssh.KeyAlgoED25519 {
			return fmt.Errorf("sign as %s: its signature is of kind %.40q, not %s", s.public, signature.Format, ssh.KeyAlgoED25519)
		}
		line, err = s.public.Line(text, signature.Blob)
		return err
	})
}

// AgentKey is a plain Ed25519 key that the ssh-agent holds, under the name that it would have as a signer.
type AgentKey struct {
	Public  crypto.PublicKey
	Comment string // the agent's, which often says whose it is
}

// AgentKeys lists the plain Ed25519 keys in the ssh-agent as keys of a name.
func AgentKeys(name string) ([]AgentKey, error) {
	var keys []AgentKey
	err := askAgent(func(a agent.Agent) error {
		list, err := a.List()
		if err != nil {
			return err
		}
		for _, k := range list {
			if k.Format != ssh.KeyAlgoED25519 {
				continue
			}
			parsed, err := ssh.ParsePublicKey(k.Blob)
			if err != nil {
				return err
			}
			bare, ok := parsed.(ssh.CryptoPublicKey).CryptoPublicKey().(ed25519.PublicKey)
			if !ok {
				return fmt.Errorf("a key of kind %s that is none", ssh.KeyAlgoED25519)
			}
			keys = append(keys, AgentKey{crypto.PublicKey{Name: name, Type: crypto.TypeSignature, Key: [32]byte(bare)}, k.Comment})
		}
		return nil
	})
	return keys, err
}
