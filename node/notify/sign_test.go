package notify

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSignature: ours are those that Python computes (testdata/signatures.py), the first of them the example of Standard Webhooks' own libraries.
func TestSignature(t *testing.T) {
	text, err := os.ReadFile("testdata/signatures.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Secret, ID, Body, Signature string
		Time                        int64
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) != 4 {
		t.Fatalf("got %d cases, %v", len(cases), err)
	}
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; cases[0].Signature != want {
		t.Errorf("the first case: got %s, want %s", cases[0].Signature, want)
	}
	var secrets [][]byte
	var both []string
	for _, c := range cases {
		list, err := ParseSecrets([]byte("whsec_" + c.Secret + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := signature(list, c.ID, time.Unix(c.Time, 0), []byte(c.Body)); got != c.Signature {
			t.Errorf("%s at %d: got %s, want %s", c.ID, c.Time, got, c.Signature)
		}
		if c.ID == cases[1].ID && c.Time == 0 {
			secrets, both = append(secrets, list[0]), append(both, c.Signature)
		}
	}
	secrets, both = append(secrets, secrets[0]), append(both, both[0])
	if got := signature(secrets, cases[1].ID, time.Unix(0, 0), []byte("{}")); got != strings.Join(both, " ") {
		t.Errorf("two secrets: got %s, want %s", got, strings.Join(both, " "))
	}
}

func TestReadSecrets(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		want       string // in the error; "" if there is none
		count      int
	}{
		{"one", good + "\n", 0o600, "", 1},
		{"without a line's end", good, 0o400, "", 1},
		{"a prefix, empty lines, CRLF", "\r\nwhsec_" + good + "\r\n\r\n", 0o600, "", 1},
		{"two", good + "\n" + good + "\n", 0o600, "", 2},
		{"three", strings.Repeat(good+"\n", 3), 0o600, "more than 2", 0},
		{"none", "\n", 0o600, "no secret", 0},
		{"too short", base64.StdEncoding.EncodeToString(make([]byte, 23)), 0o600, "24 to 64", 0},
		{"too long", base64.StdEncoding.EncodeToString(make([]byte, 65)), 0o600, "24 to 64", 0},
		{"not base64", "hunter2hunter2hunter2hunter2hunter2", 0o600, "24 to 64", 0},
		{"bits left over", good[:len(good)-2] + "B=", 0o600, "24 to 64", 0},
		{"for all to read", good, 0o644, "chmod 600", 0},
		{"for the group to read", good, 0o640, "chmod 600", 0},
		{"much too long", strings.Repeat("\n", maxSecretFile+1), 0o600, "longer than", 0},
	} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSecrets(path)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || len(got) != c.count {
			t.Errorf("%s: got %d, %v, want %d, %q", c.name, len(got), err, c.count, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells the secret: %v", c.name, err)
		}
	}
	if _, err := ReadSecrets(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder: got %v", err)
	}
}

func FuzzParseSecrets(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		secrets, err := ParseSecrets(text)
		if err != nil {
			return
		}
		var again []string
		for _, s := range secrets {
			if len(s) < minSecret || len(s) > maxSecret {
				t.Errorf("a secret of %d bytes", len(s))
			}
			again = append(again, base64.StdEncoding.EncodeToString(s))
		}
		same, err := ParseSecrets([]byte(strings.Join(again, "\n")))
		if err != nil || len(same) != len(secrets) {
			t.Fatalf("written again: got %d, %v, want %d", len(same), err, len(secrets))
		}
		for i := range same {
			if string(same[i]) != string(secrets[i]) {
				t.Errorf("secret %d is another when written again", i)
			}
		}
	})
}
