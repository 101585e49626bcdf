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

// TestAppendDecision: a decision's line is what encoding/json makes of it, whatever it holds.
func TestAppendDecision(t *testing.T) {
	when := rapid.Custom(func(t *rapid.T) any {
		return time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "s"), rapid.SampledFrom([]int64{0, 5e6, 1}).Draw(t, "ns")).UTC()
	})
	decisions := rapid.MakeCustom[Decision](rapid.MakeConfig{Types: map[reflect.Type]*rapid.Generator[any]{
		reflect.TypeFor[time.Time]():    when,
		reflect.TypeFor[policy.Basis](): rapid.Just[any](policy.Basis{}), // it stands in no line
	}})
	rapid.Check(t, func(t *rapid.T) {
		d := decisions.Draw(t, "decision")
		l := &Line{Time: when.Draw(t, "time").(time.Time), Kind: KindDecision, Decision: &d}
		got, err := tail(l)
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		wantErr := e.Encode(struct {
			Time     time.Time `json:"time"`
			Kind     Kind      `json:"kind"`
			Decision *Decision `json:"decision"`
		}{l.Time, l.Kind, l.Decision})
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("got error %v, encoding/json has %v", err, wantErr)
		}
		if err == nil && "{"+string(got)+"\n" != want.String() {
			t.Fatalf("got\n{%s, encoding/json has\n%s", got, want.String())
		}
	})
}
