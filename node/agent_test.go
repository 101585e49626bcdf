package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"hashfeed/crypto"
)

const agentOrigin = "a.example/known/1"

// checkAgent wants the one plain Ed25519 key of the agent to sign as a note's signer does.
func checkAgent(t *testing.T, comment string) crypto.PublicKey {
	t.Helper()
	keys, err := AgentKeys(agentOrigin)
	if err != nil || len(keys) != 1 || keys[0].Comment != comment {
		t.Fatalf("got %v, %v, want one key of %q", keys, err, comment)
	}
	if again, err := crypto.ParsePublicKey(keys[0].Public.String()); err != nil || again != keys[0].Public {
		t.Errorf("its vkey reads as %v, %v", again, err)
	}
	text := []byte(agentOrigin + "\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
	line, err := AgentSigner(keys[0].Public).Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	by, err := crypto.Note{Text: text, Lines: []crypto.Line{line}}.Check(keys[0].Public)
	if err != nil || len(by) != 1 || len(line.Signature) != ed25519.SignatureSize {
		t.Errorf("its signature: got %v, %v, want a good one of 64 bytes", by, err)
	}
	other := keys[0].Public
	other.Key[0] ^= 1
	if line, err := AgentSigner(other).Sign(text); err == nil {
		t.Errorf("a key that it hasn't got: got %v, want an error", line)
	}
	return keys[0].Public
}

// serve serves an agent on a socket, and names it to the process.
func serve(t *testing.T, a agent.Agent) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				agent.ServeAgent(a, conn)
			}()
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(dir, "s"))
}

func TestAgent(t *testing.T) {
	keys := agent.NewKeyring()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []agent.AddedKey{{PrivateKey: other, Comment: "rsa"}, {PrivateKey: key, Comment: "bob"}} {
		if err := keys.Add(k); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, keys)
	public := checkAgent(t, "bob")
	if err := keys.Lock([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if line, err := AgentSigner(public).Sign([]byte("x\n")); err == nil {
		t.Errorf("locked: got %v, want an error", line)
	}
	t.Setenv("SSH_AUTH_SOCK", "")
	if _, err := AgentKeys(agentOrigin); err == nil || !strings.Contains(err.Error(), "SSH_AUTH_SOCK") {
		t.Errorf("no agent: got %v, want an error that names SSH_AUTH_SOCK", err)
	}
}

// forging is an agent that signs something else than it is asked to.
type forging struct{ agent.ExtendedAgent }

func (f forging) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return f.ExtendedAgent.Sign(key, append(data, 'x'))
}

func (f forging) SignWithFlags(key ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	return f.ExtendedAgent.SignWithFlags(key, append(data, 'x'), flags)
}

func TestAgentForges(t *testing.T) {
	keys := agent.NewKeyring()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	serve(t, forging{keys.(agent.ExtendedAgent)})
	list, err := AgentKeys(agentOrigin)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := AgentSigner(list[0].Public).Sign([]byte("x\n")); err == nil {
		t.Errorf("got %v, want an error", line)
	}
}

// TestRealAgent: OpenSSH's own agent, with a key that ssh-keygen has made.
func TestRealAgent(t *testing.T) {
	for _, tool := range []string{"ssh-agent", "ssh-add", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed", tool)
			}
			t.Skipf("%s is not installed (openssh-client)", tool)
		}
	}
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket, key := filepath.Join(dir, "s"), filepath.Join(dir, "key")
	served := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := served.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		served.Process.Kill()
		served.Wait()
	}()
	t.Setenv("SSH_AUTH_SOCK", socket)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("ssh-agent doesn't serve")
		}
	}
	for _, args := range [][]string{{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bob@desk", "-f", key}, {"ssh-add", "-q", key}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	checkAgent(t, "bob@desk")
}
