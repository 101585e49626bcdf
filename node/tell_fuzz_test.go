package node

import "testing"

// FuzzParseTold: what is taken for a file of what was told can be written and read again.
func FuzzParseTold(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, err := parseJSONLines(data, maxToldFile, told.check)
		if err != nil {
			return
		}
		for _, l := range lines {
			if err := l.check(); err != nil {
				t.Errorf("took %+v: %v", l, err)
			}
		}
	})
}
