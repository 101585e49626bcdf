package notify

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// secretPrefix may stand before a secret, as Standard Webhooks writes it.
const secretPrefix = "whsec_"

// ParseSecrets reads a file of secrets: one a line, base64 of 24 to 64 bytes, with whsec_ before it or not. There are two while the receiver
// changes from one to the other; the first line is the one that stays. Its errors don't repeat what is secret.
func ParseSecrets(text []byte) (secrets [][]byte, err error) {
	if len(text) > maxSecretFile {
		return nil, fmt.Errorf("longer than %d bytes", maxSecretFile)
	}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		secret, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(string(line), secretPrefix))
		if err != nil || len(secret) < minSecret || len(secret) > maxSecret {
			return nil, fmt.Errorf("a line isn't base64 of %d to %d bytes (openssl rand -base64 32 makes one)", minSecret, maxSecret)
		}
		secrets = append(secrets, secret)
	}
	switch {
	case len(secrets) == 0:
		return nil, errors.New("there is no secret in it (openssl rand -base64 32 makes one)")
	case len(secrets) > maxSecrets:
		return nil, fmt.Errorf("more than %d secrets", maxSecrets)
	}
	return secrets, nil
}

// ReadSecrets reads a file of secrets that nobody but its owner may read.
func ReadSecrets(path string) ([][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read secret: %s is not a file", path)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("read secret: others than its owner may read %s (chmod 600)", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	secrets, err := ParseSecrets(text)
	if err != nil {
		return nil, fmt.Errorf("read secret: %s: %w", path, err)
	}
	return secrets, nil
}

// signature is the header's value: one for each secret.
func signature(secrets [][]byte, id string, at time.Time, body []byte) string {
	var all []string
	for _, s := range secrets {
		mac := hmac.New(sha256.New, s)
		fmt.Fprintf(mac, "%s.%s.", id, stamp(at))
		mac.Write(body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(all, " ")
}

func stamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
