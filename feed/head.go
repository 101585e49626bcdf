package feed

import (
	"crypto/sha256"
	"fmt"
	"strconv"
)

// ItemID names an item, an image or video, within its feed. It is random.
type ItemID [16]byte

// Digest is a SHA-256.
type Digest [32]byte

// Ticket is what a publisher gave the member whose report became a dispute.
type Ticket [16]byte

// Op is what a head does. Ops of 7 to 127 are skipped by version 1, from the first of 128 or more on it judges nothing any more.
type Op uint64

// The ops of version 1.
const (
	OpAdd     Op = 1
	OpRevise  Op = 2
	OpRetract Op = 3
	OpEndorse Op = 4
	OpDispute Op = 5
	OpResolve Op = 6

	opSkipped Op = 7   // the first one that is skipped; 7 and 8 are reserved
	opStop    Op = 128 // the first one that stops us
)

var opNames = [...]string{OpAdd: "add", OpRevise: "revise", OpRetract: "retract", OpEndorse: "endorse", OpDispute: "dispute", OpResolve: "resolve"}

// String returns the op's name, of others the number.
func (o Op) String() string {
	if o < opSkipped && opNames[o] != "" {
		return opNames[o]
	}
	return strconv.FormatUint(uint64(o), 10)
}

// Subject names a record of any feed, with its leaf hash, so that what is endorsed or disputed can't be exchanged. The CDDL's ref.
type Subject struct {
	Origin Origin // as it stands in the head: 5 to 140 bytes of text that ParseOrigin may still reject
	Index  uint64
	Leaf   Digest
}

// Head is the head of a record: the leaf of the log. Which fields count, the op says; of an op of 7 or more only Op is set.
// Extension keys (64 to 127) are ignored in reading and never written.
type Head struct {
	Op        Op
	Time      int64      // Unix seconds by the publisher's clock, 0..2^32-1. The log's order decides, never this
	Item      ItemID     // add, revise, retract
	Rev       int        // add: 1, revise: 2..126, retract: 2..127: one more than the item's record before
	Body      Digest     // add, revise: SHA-256 of the body
	Target    Position   // revise: the item's latest add or revise
	Reinstate bool       // revise: undoes a retraction
	Targets   []Position // retract: all of the item's adds and revises, ascending, 1..64
	Reason    Reason     // retract, dispute, resolve
	Subject   Subject    // endorse, dispute, resolve (then the dispute)
	Ticket    *Ticket    // dispute, if it began as a member's report
}

// VoidCode says why a head is void: in the tree, without effect, for everyone.
type VoidCode string

// The void codes; of several that apply a head has the first.
const (
	VoidCut   VoidCode = "cut"   // past the cut of a closed log, whatever it is
	VoidForm  VoidCode = "form"  // not the CDDL, not deterministic CBOR, not 1 to 1,200 bytes
	VoidID    VoidCode = "id"    // an add of an item that is there already
	VoidChain VoidCode = "chain" // wrong rev, item or target, or a retraction's state says otherwise
	VoidMany  VoidCode = "many"  // the 65th add or revise of an item
)

// VoidError is the error of a head that is void.
type VoidError struct {
	Code VoidCode
	Why  string // for people
}

func (e VoidError) Error() string { return "void head: " + string(e.Code) + ": " + e.Why }

func formError(why string) VoidError { return VoidError{VoidForm, why} }

// headKeys are the keys of each op's head: required, optional. Extension keys are allowed besides.
var headKeys = [...]struct{ required, optional uint16 }{
	OpAdd:     {keyBits(1, 2, 3, 4, 5, 6), 0},
	OpRevise:  {keyBits(1, 2, 3, 4, 5, 6, 7), keyBits(8)},
	OpRetract: {keyBits(1, 2, 3, 4, 5, 9, 10), 0},
	OpEndorse: {keyBits(1, 2, 3, 11), 0},
	OpDispute: {keyBits(1, 2, 3, 10, 11), keyBits(12)},
	OpResolve: {keyBits(1, 2, 3, 10, 11), 0},
}

// revs are the revs that each op may bear.
var revs = [...][2]uint64{OpAdd: {1, 1}, OpRevise: {2, maxRevise}, OpRetract: {2, maxRetract}}

// ParseHead reads a head. The error is a [VoidError] of code form. Of an op of 7 or more it asks only for deterministic CBOR of 1 to 1,200
// bytes, a map with 1: 1: later versions may put there what they like.
func ParseHead(raw []byte) (Head, error) {
	if len(raw) < 1 || len(raw) > MaxHead {
		return Head{}, formError("not 1 to 1,200 bytes")
	}
	if err := checkCBOR(raw); err != nil {
		return Head{}, formError(err.Error())
	}
	f, ok := (&cborReader{raw}).fields()
	if !ok {
		return Head{}, formError("not a map")
	}
	if _, ok := f.key(1).uint(1, 1); !ok {
		return Head{}, formError("not of format 1")
	}
	op, ok := f.key(2).uint(1, 1<<64-1)
	if !ok {
		return Head{}, formError("no op")
	}
	h := Head{Op: Op(op)}
	if h.Op >= opSkipped {
		return h, nil
	}
	if keys := headKeys[h.Op]; !f.only(keys.required, keys.optional, true) {
		return Head{}, formError("a key is missing or unknown")
	}
	secs, ok := f.key(3).uint(0, maxSecs)
	if !ok {
		return Head{}, formError("time")
	}
	h.Time = int64(secs)
	if h.Op <= OpRetract {
		ok = h.readItem(&f)
	} else {
		ok = h.readSubject(&f)
	}
	if !ok {
		return Head{}, formError("a field of " + h.Op.String() + " is out of bounds")
	}
	return h, nil
}

// readItem reads what add, revise and retract have besides the first three fields.
func (h *Head) readItem(f *cborFields) bool {
	item, ok := f.key(4).bytes(16, 16)
	rev, ok1 := f.key(5).uint(revs[h.Op][0], revs[h.Op][1])
	if !ok || !ok1 {
		return false
	}
	h.Item, h.Rev = ItemID(item), int(rev)
	if h.Op != OpRetract {
		digest, ok := f.key(6).bytes(32, 32)
		if !ok {
			return false
		}
		h.Body = Digest(digest)
	}
	switch h.Op {
	case OpRevise:
		h.Target, ok = readPosition(f.key(7))
		h.Reinstate = f.has(8)
		return ok && (!h.Reinstate || f.key(8).isTrue())
	case OpRetract:
		r := f.key(9)
		n, ok := r.array(1, MaxRecords)
		if !ok {
			return false
		}
		h.Targets = make([]Position, n)
		for i := range h.Targets {
			if h.Targets[i], ok = readPosition(r); !ok {
				return false
			}
		}
		return h.readReason(f)
	}
	return true
}

// readSubject reads what endorse, dispute and resolve have besides the first three fields.
func (h *Head) readSubject(f *cborFields) bool {
	r := f.key(11)
	_, ok := r.array(3, 3)
	origin, ok1 := r.text(minSubject, maxSubject)
	index, ok2 := r.uint(0, MaxSize-1)
	leaf, ok3 := r.bytes(32, 32)
	if !ok || !ok1 || !ok2 || !ok3 {
		return false
	}
	h.Subject = Subject{Origin(origin), index, Digest(leaf)}
	if f.has(12) {
		ticket, ok := f.key(12).bytes(16, 16)
		if !ok {
			return false
		}
		h.Ticket = new(Ticket(ticket))
	}
	return h.Op == OpEndorse || h.readReason(f)
}

func (h *Head) readReason(f *cborFields) bool {
	n, ok := f.key(10).uint(1, 255)
	h.Reason = Reason(n)
	return ok && h.Reason.Fits(h.Op)
}

// readPosition reads the CDDL's target.
func readPosition(r *cborReader) (Position, bool) {
	_, ok := r.array(2, 2)
	log, ok1 := r.uint(1, MaxLog)
	index, ok2 := r.uint(0, MaxSize-1)
	return Position{int(log), index}, ok && ok1 && ok2
}

func appendPosition(b []byte, p Position) []byte {
	return appendCBORUint(appendCBORUint(appendCBORArray(b, 2), uint64(p.Log)), p.Index)
}

// Bytes returns the head's encoding. It fails where the head is not of the CDDL: an op of 7 or more, a field out of bounds. Fields that
// the op does not have are not looked at.
func (h Head) Bytes() ([]byte, error) {
	if h.Op < OpAdd || h.Op > OpResolve {
		return nil, fmt.Errorf("encode head: op %v is not of this version", h.Op)
	}
	keys := headKeys[h.Op].required
	if h.Op == OpRevise && h.Reinstate {
		keys |= keyBits(8)
	}
	if h.Op == OpDispute && h.Ticket != nil {
		keys |= keyBits(12)
	}
	pairs := 0
	for k := 1; k <= 12; k++ {
		pairs += int(keys >> k & 1)
	}
	b := appendCBORMap(make([]byte, 0, 128), pairs)
	for k := 1; k <= 12; k++ {
		if keys>>k&1 == 0 {
			continue
		}
		b = append(b, byte(k))
		switch k {
		case 1:
			b = appendCBORUint(b, 1)
		case 2:
			b = appendCBORUint(b, uint64(h.Op))
		case 3:
			b = appendCBORUint(b, uint64(h.Time))
		case 4:
			b = appendCBORBytes(b, h.Item[:])
		case 5:
			b = appendCBORUint(b, uint64(h.Rev))
		case 6:
			b = appendCBORBytes(b, h.Body[:])
		case 7:
			b = appendPosition(b, h.Target)
		case 8:
			b = append(b, cborTrue)
		case 9:
			b = appendCBORArray(b, len(h.Targets))
			for _, t := range h.Targets {
				b = appendPosition(b, t)
			}
		case 10:
			b = appendCBORUint(b, uint64(h.Reason))
		case 11:
			b = appendCBORText(appendCBORArray(b, 3), string(h.Subject.Origin))
			b = appendCBORBytes(appendCBORUint(b, h.Subject.Index), h.Subject.Leaf[:])
		case 12:
			b = appendCBORBytes(b, h.Ticket[:])
		}
	}
	// What is out of bounds would be read back as void: the reader is the one place that knows the bounds.
	if _, err := ParseHead(b); err != nil {
		return nil, fmt.Errorf("encode head: %w", err)
	}
	return b, nil
}

// PromisedBody returns the digest of the body that must lie beside the log for this head, if any: a head of 1 to 1,200 bytes that is
// deterministic CBOR, a map with key 6 of 32 bytes, promises one, whatever its op or code.
func PromisedBody(raw []byte) (Digest, bool) {
	if len(raw) < 1 || len(raw) > MaxHead || checkCBOR(raw) != nil {
		return Digest{}, false
	}
	f, ok := (&cborReader{raw}).fields()
	if !ok {
		return Digest{}, false
	}
	d, ok := f.key(6).bytes(32, 32)
	if !ok {
		return Digest{}, false
	}
	return Digest(d), true
}

// LeafHash returns the head's hash in the tree: SHA-256(0x00 ‖ head), RFC 6962, section 2.1.
func LeafHash(raw []byte) Digest {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(raw)
	return Digest(h.Sum(nil))
}
