package journal

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hashfeed/node/policy"
)

// TestLineJSON: a line, however it is put together, is what encoding/json makes of it, whatever it holds.
func TestLineJSON(t *testing.T) {
	when := rapid.Custom(func(t *rapid.T) any {
		return time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "s"), rapid.SampledFrom([]int64{0, 5e6, 1}).Draw(t, "ns")).UTC()
	})
	lines := rapid.MakeCustom[Line](rapid.MakeConfig{Types: map[reflect.Type]*rapid.Generator[any]{
		reflect.TypeFor[time.Time]():    when,
		reflect.TypeFor[policy.Basis](): rapid.Just[any](policy.Basis{}), // it stands in no line
	}})
	var clock ids
	decisions, others := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		l := lines.Draw(t, "line")
		if l.Decision != nil { // a line has one member
			l = Line{Seq: l.Seq, Time: l.Time, Kind: l.Kind, Decision: l.Decision}
			decisions++
		} else {
			others++
		}
		if l.ID = ""; rapid.Bool().Draw(t, "id") {
			l.ID = clock.next(1)
		}
		prev := digest(rapid.SliceOfN(rapid.Byte(), len(digest{}), len(digest{})).Draw(t, "prev"))
		l.Prev = prev.String()
		rest, err := tail(&l)
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		wantErr := e.Encode(l)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("got error %v, encoding/json has %v", err, wantErr)
		}
		if got := appendLine(nil, l.Seq, prev, l.ID, rest); err == nil && string(got) != want.String() {
			t.Fatalf("got\n%sencoding/json has\n%s", got, want.String())
		}
	})
	if decisions == 0 || others == 0 {
		t.Errorf("got %d decisions and %d other lines", decisions, others)
	}
}
