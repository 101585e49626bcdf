package node

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// tokenFile is the API tokens of a node, a JSON object a line: names, scopes and the SHA-256 of each secret, of which 256
// bits are random, so that the file is of no use to whoever reads it.
type tokenFile struct {
	path string
	mu   sync.Mutex // of those who write
	all  atomic.Pointer[[]storedToken]
}

type storedToken struct {
	Name    string   `json:"name"`
	Scopes  []string `json:"scopes"`
	Sum     string   `json:"sha256"`
	Created string   `json:"created"`
}

// tokenPrefix tells a token from other secrets, for those who search code for leaked ones.
const tokenPrefix = "hf_"

func openTokens(path string) (*tokenFile, error) {
	t := &tokenFile{path: path}
	all, err := readJSONLines(path, maxTokenFile, storedToken.check)
	if err != nil {
		return nil, err
	}
	t.all.Store(&all)
	return t, nil
}

func (s storedToken) check() error {
	if sum, err := hex.DecodeString(s.Sum); err != nil || len(sum) != sha256.Size || !feed.ValidName(s.Name) || len(s.Scopes) == 0 {
		return errors.New("not a token")
	}
	for _, scope := range s.Scopes {
		if !api.ValidScope(scope) {
			return fmt.Errorf("scope %.20q", scope)
		}
	}
	return nil
}

// Scopes are what a token may do; ok is false if it is no token of this node. What is compared are hashes of what is secret, in
// constant time.
func (t *tokenFile) Scopes(token string) (scopes []string, ok bool) {
	sum := sha256.Sum256([]byte(token))
	var text, stored [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	for _, s := range *t.all.Load() {
		copy(stored[:], s.Sum) // no longer and no shorter: see check
		if subtle.ConstantTimeCompare(stored[:], text[:]) == 1 {
			scopes, ok = s.Scopes, true
		}
	}
	return scopes, ok
}

// change replaces the tokens, durably.
func (t *tokenFile) change(edit func([]storedToken) ([]storedToken, error)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	all, err := edit(slices.Clone(*t.all.Load()))
	if err != nil {
		return err
	}
	if err := writeJSONLines(t.path, all); err != nil {
		return err
	}
	t.all.Store(&all)
	return nil
}

// CreateToken makes a token. The secret is in the answer and nowhere else.
func (n *Node) CreateToken(ctx context.Context, r api.CreateToken) (api.NewToken, error) {
	var made api.NewToken
	if len(r.Scopes) == 0 {
		return made, incomplete("the scopes are missing")
	}
	for _, s := range r.Scopes {
		if !api.ValidScope(s) {
			return made, refused("scope %.20q: must be one of %v", s, api.Scopes())
		}
	}
	if r.Name == "" {
		r.Name = "token-" + hex.EncodeToString(randomBytes(4))
	}
	if !feed.ValidName(r.Name) {
		return made, refused("name %.70q: must be of a-z, 0-9, . and -", r.Name)
	}
	slices.Sort(r.Scopes)
	made = api.NewToken{Token: tokenPrefix + base64.RawURLEncoding.EncodeToString(randomBytes(32)), Name: r.Name, Scopes: slices.Compact(r.Scopes)}
	sum := sha256.Sum256([]byte(made.Token))
	err := n.tokens.change(func(all []storedToken) ([]storedToken, error) {
		if slices.ContainsFunc(all, func(s storedToken) bool { return s.Name == r.Name }) {
			return nil, conflict("there is a token %s already", r.Name)
		}
		if len(all) >= maxTokens {
			return nil, conflict("there are %d tokens already: revoke one", len(all))
		}
		return append(all, storedToken{Name: made.Name, Scopes: made.Scopes, Sum: hex.EncodeToString(sum[:]), Created: timeText(n.unix())}), nil
	})
	if err != nil {
		return api.NewToken{}, err
	}
	return made, nil
}

// Tokens lists the tokens, without their secrets, which nobody has but their holders.
func (n *Node) Tokens(ctx context.Context) ([]api.Token, error) {
	tokens := []api.Token{}
	for _, s := range *n.tokens.all.Load() {
		tokens = append(tokens, api.Token{Name: s.Name, Scopes: s.Scopes, Created: s.Created})
	}
	return tokens, nil
}

// RevokeToken ends a token at once.
func (n *Node) RevokeToken(ctx context.Context, name string) error {
	return n.tokens.change(func(all []storedToken) ([]storedToken, error) {
		kept := slices.DeleteFunc(all, func(s storedToken) bool { return s.Name == name })
		if len(kept) == len(all) {
			return nil, notFound("there is no token %s", name)
		}
		return kept, nil
	})
}

func randomBytes(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}
