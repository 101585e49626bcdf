package crypto

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestSaveLoad(t *testing.T) {
	k, err := GenerateKey("eokm.example/known/1", TypeSignature)
	if err != nil {
		t.Fatal(err)
	}
	for _, pass := range []string{"", "correct horse"} { // at full cost
		path := filepath.Join(t.TempDir(), "signer")
		if err := k.Save(path, []byte(pass)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("mode: got %v, want 0600", got)
		}
		got, err := Load(path, []byte(pass))
		if err != nil {
			t.Fatal(err)
		}
		if got.Public() != k.Public() || !got.Ed25519().Equal(k.Ed25519()) {
			t.Errorf("got %v, want %v", got, k)
		}
	}
}

func TestSaveNeverOverwrites(t *testing.T) {
	cheapSeals(t)
	a, b := testKey("a", TypeSignature, 1), testKey("a", TypeSignature, 2)
	path := filepath.Join(t.TempDir(), "signer")
	if err := a.Save(path, nil); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Save(path, []byte("p")); !errors.Is(err, ErrExists) {
		t.Errorf("second Save: got %v, want %q", err, ErrExists)
	}
	if err := (SealKey{1}).Save(path, "a/store", nil); !errors.Is(err, ErrExists) {
		t.Errorf("Save of a seal key: got %v, want %q", err, ErrExists)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("after refused Saves: got %q, %v, want %q", got, err, want)
	}
	// A dangling link is something too: following it would put the key where somebody else chose.
	link := filepath.Join(filepath.Dir(path), "link")
	if err := os.Symlink("elsewhere", link); err != nil {
		t.Fatal(err)
	}
	if err := b.Save(link, nil); !errors.Is(err, ErrExists) {
		t.Errorf("Save to a dangling link: got %v, want %q", err, ErrExists)
	}
}

func TestSaveRejects(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	for _, test := range []struct {
		what string
		err  error
		want error
	}{
		{"name with a space", testKey("a b", TypeSignature, 1).Save(path, nil), errName},
		{"unknown type", testKey("a", 2, 1).Save(path, nil), errVKeyAlg},
		{"zero key", (&PrivateKey{}).Save(path, nil), errVKeyAlg},
		{"zero seal key", SealKey{}.Save(path, "a/store", nil), errZeroKey},
		{"seal key without name", SealKey{1}.Save(path, "", nil), errName},
		{"no such folder", testKey("a", TypeSignature, 1).Save(filepath.Join(dir, "none", "key"), nil), fs.ErrNotExist},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: got %v, want %q", test.what, test.err, test.want)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("refused Saves left %v, %v", files, err)
	}
}

func TestLoadPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	path := filepath.Join(t.TempDir(), "my key")
	if err := testKey("a", TypeSignature, 1).Save(path, nil); err != nil {
		t.Fatal(err)
	}
	for mode := fs.FileMode(0); mode <= 0o777; mode++ {
		if mode&0o400 == 0 {
			continue // the owner can't read it either, unless they are root
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path, nil)
		if want := mode&0o077 == 0; want != (err == nil) || (!want && !errors.Is(err, ErrPermissions)) {
			t.Errorf("mode %04o: got %v", mode, err)
		}
		if err != nil && !strings.Contains(err.Error(), `chmod 600 "`+path+`"`) {
			t.Errorf("mode %04o: got %q, want it to tell the command", mode, err)
		}
	}
}

func TestLoadRejects(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v, want %q", err, fs.ErrNotExist)
	}
	if _, err := Load(dir, nil); !errors.Is(err, errNotRegular) {
		t.Errorf("folder: got %v, want %q", err, errNotRegular)
	}
	for what, data := range map[string][]byte{
		"empty": {}, "other": []byte("-----BEGIN PRIVATE KEY-----\n"),
		"huge": append(fileOf(testKey("a", TypeSignature, 1), ""), make([]byte, 1<<20)...),
	} {
		path := filepath.Join(dir, what)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path, nil); !errors.Is(err, errKeyFile) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q and the path", what, err, errKeyFile)
		}
	}
}

func TestSealKeyFiles(t *testing.T) {
	cheapSeals(t)
	dir := t.TempDir()
	key, err := GenerateSealKey()
	if err != nil {
		t.Fatal(err)
	}
	const name = "host.example/store"
	for _, pass := range []string{"", "p"} {
		path := filepath.Join(dir, "store"+pass)
		if err := key.Save(path, name, []byte(pass)); err != nil {
			t.Fatal(err)
		}
		if got, err := LoadSealKey(path, name, []byte(pass)); err != nil || got != key {
			t.Errorf("passphrase %q: another key or error: %v", pass, err)
		}
		if got, err := LoadSealKey(path, "other.example/store", []byte(pass)); !errors.Is(err, errOtherName) || got != (SealKey{}) {
			t.Errorf("another name: got %v, want %q", err, errOtherName)
		}
		if _, err := Load(path, []byte(pass)); !errors.Is(err, errOtherKind) {
			t.Errorf("Load of a seal key: got %v, want %q", err, errOtherKind)
		}
	}
	if _, err := LoadSealKey(filepath.Join(dir, "storep"), name, []byte("q")); !errors.Is(err, ErrPassphraseWrong) {
		t.Errorf("wrong passphrase: got %v, want %q", err, ErrPassphraseWrong)
	}
	path := filepath.Join(dir, "signer")
	if err := testKey(name, TypeSignature, 1).Save(path, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSealKey(path, name, nil); !errors.Is(err, errOtherKind) {
		t.Errorf("LoadSealKey of a signing key: got %v, want %q", err, errOtherKind)
	}
	if _, err := decodeSealKey(newKeyFile(kindSeal, name, "", [32]byte{}, nil).encode(), name, nil); !errors.Is(err, errZeroKey) {
		t.Errorf("zero key: got %v, want %q", err, errZeroKey)
	}
}
