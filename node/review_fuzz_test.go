package node

import (
	"bytes"
	"encoding/json"
	"testing"

	"hashfeed/node/api"
)

// FuzzCheckBatch reads what a node, perhaps one that was taken over, tells a signer of a batch.
func FuzzCheckBatch(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		var b api.BatchText
		if json.Unmarshal(data, &b) != nil {
			return
		}
		r, err := checkBatch(b)
		if err != nil {
			return
		}
		// What is signed is of the records that were shown, on the checkpoint that was shown.
		records := r.proposal.Records()
		if len(records) != len(b.Records) || r.Batch.Size != r.proposal.From()+uint64(len(records)) || r.Batch.ID != r.proposal.ID() {
			t.Fatalf("got %+v of %d records", r.Batch, len(b.Records))
		}
		for i, record := range records {
			if !bytes.Equal(record.Head, b.Records[i].Head) || !bytes.Equal(record.Body, b.Records[i].Body) {
				t.Errorf("record %d isn't the one that was shown", i)
			}
		}
	})
}
