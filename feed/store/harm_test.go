package store

import (
	"context"
	"fmt"
	"os"
	"testing"
)

var noContext = context.Background()

// rounds is how often a harness does its harm: a little in `make test`, much in `make test-full`, very much in `make soak`.
func rounds(t testing.TB, cheap, full, soak int) int {
	t.Helper()
	switch os.Getenv("HASHFEED_TEST") {
	case "full":
		return full
	case "soak":
		return soak
	}
	return cheap
}

// table prints a table of docs/reliability.md, which `make reliability` puts there.
func table(t testing.TB, name, format string, args ...any) {
	t.Helper()
	fmt.Fprintf(t.Output(), "<!-- %s -->\n"+format+"<!-- /%s -->\n", append(append([]any{name}, args...), name)...)
}
