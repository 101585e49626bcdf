package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/journal"
	"hashfeed/node/policy"
)

// fakeNode answers from what a test puts into it, and remembers what it was asked. err, if set, is every verb's answer.
type fakeNode struct {
	asked     []string // verb and arguments, a line each
	err       error
	results   []Published
	published Published
	records   []Record
	logErr    error  // after the records
	mirrorErr error  // after eight bytes
	block     string // md5 that is blocked
	told      bool   // an import tells of progress before it ends
}

func (f *fakeNode) note(verb string, args ...any) error {
	f.asked = append(f.asked, strings.TrimSpace(verb+" "+fmt.Sprintln(args...)))
	return f.err
}

func (f *fakeNode) Identity(context.Context) (Identity, error) {
	return Identity{Name: "a.example", RootVKeys: []string{"k"}, Addresses: []string{}}, f.note("Identity")
}
func (f *fakeNode) Status(context.Context) (Status, error) {
	return Status{Name: "a.example", Peers: []Peer{{PeerID: "12D3", Name: "b.example"}}, Tables: map[string]int{"md5": 3}}, f.note("Status")
}
func (f *fakeNode) Feeds(context.Context) ([]FeedInfo, error) {
	return []FeedInfo{{Origin: "a.example/known/1"}}, f.note("Feeds")
}
func (f *fakeNode) Feed(_ context.Context, name string) (FeedInfo, error) {
	return FeedInfo{Origin: "a.example/known/1", Size: 7}, f.note("Feed", name)
}
func (f *fakeNode) CreateFeed(_ context.Context, r CreateFeed) (FeedInfo, error) {
	return FeedInfo{Origin: "a.example/" + r.Name + "/1"}, f.note("CreateFeed", r)
}
func (f *fakeNode) Charter(_ context.Context, name string) (CharterInfo, error) {
	return CharterInfo{Feed: "a.example/known", Version: 3, Versions: []CharterVersion{{Version: 3}}}, f.note("Charter", name)
}
func (f *fakeNode) ProposeCharter(_ context.Context, r ProposeCharter) (ProposedCharter, error) {
	return ProposedCharter{File: "text", Changes: []string{"x"}, Wants: []Quota{{Of: "roots"}}}, f.note("ProposeCharter", asJSON(r))
}
func (f *fakeNode) PublishCharter(_ context.Context, r PublishCharter) (PublishedCharter, error) {
	return PublishedCharter{Version: 4}, f.note("PublishCharter", r.File, r.Repeat)
}
func (f *fakeNode) Receipts(_ context.Context, name string, pending bool) (Receipts, error) {
	return Receipts{Origin: "a.example/known/1", Members: []Receipt{{Name: "b.example"}}}, f.note("Receipts", name, pending)
}
func (f *fakeNode) FeedCounts(_ context.Context, name string) (FeedCounts, error) {
	return FeedCounts{Feed: "a.example/known", Weeks: []WeekCounts{{Week: "2026-W48", Members: 3}}}, f.note("FeedCounts", name)
}
func (f *fakeNode) SharedCounts(_ context.Context, name string) (SharedCounts, error) {
	return SharedCounts{Feed: "b.example/known", Weeks: []SharedWeek{{State: ShareSent}}}, f.note("SharedCounts", name)
}
func (f *fakeNode) Recover(_ context.Context, name string) (Recovered, error) {
	return Recovered{Origin: "a.example/known/1", Had: 1, Size: 3}, f.note("Recover", name)
}
func (f *fakeNode) Log(_ context.Context, name string, from, n uint64) iter.Seq2[Record, error] {
	err, end := f.note("Log", name, from, n), f.logErr // now: whoever stops early doesn't wait for the loop to end
	return func(yield func(Record, error) bool) {
		if err != nil {
			yield(Record{}, err)
			return
		}
		for _, r := range f.records {
			if !yield(r, nil) {
				return
			}
		}
		if end != nil {
			yield(Record{}, end)
		}
	}
}
func (f *fakeNode) Record(_ context.Context, ref feed.Ref) (Record, error) {
	return Record{Ref: ref.String(), Op: "add"}, f.note("Record", ref)
}
func (f *fakeNode) Prove(_ context.Context, ref feed.Ref, withBody bool) ([]byte, error) {
	return []byte("proof\n"), f.note("Prove", ref, withBody)
}
func (f *fakeNode) Mirror(_ context.Context, name string, w io.Writer) error {
	if err := f.note("Mirror", name); err != nil {
		return err
	}
	io.WriteString(w, "12345678")
	if f.mirrorErr != nil {
		w.Write(make([]byte, 1<<20)) // more than any buffer holds back
	}
	return f.mirrorErr
}
func (f *fakeNode) Publish(_ context.Context, r Publish) ([]Published, error) {
	return f.results, f.note("Publish", fmt.Sprintf("%+v", r))
}
func (f *fakeNode) Retract(_ context.Context, ref feed.Ref, reason feed.Reason) (Published, error) {
	return f.published, f.note("Retract", ref, reason)
}
func (f *fakeNode) RetractMany(_ context.Context, r RetractMany) (RetractedMany, error) {
	return RetractedMany{Feed: "a.example/known", Items: 2, Refs: []string{"a.example/known/1#7"}, DryRun: r.DryRun, Batch: r.Batch}, f.note("RetractMany", fmt.Sprintf("%+v", r))
}
func (f *fakeNode) Revise(_ context.Context, ref feed.Ref, r Revision) (Published, error) {
	return f.published, f.note("Revise", ref, fmt.Sprintf("%+v", r))
}
func (f *fakeNode) Endorse(_ context.Context, ref feed.Ref) (Published, error) {
	return f.published, f.note("Endorse", ref)
}
func (f *fakeNode) Dispute(_ context.Context, ref feed.Ref, reason feed.Reason) (Published, error) {
	return f.published, f.note("Dispute", ref, reason)
}
func (f *fakeNode) PolicyTest(_ context.Context, r PolicyTest) (PolicyTested, error) {
	return PolicyTested{Feed: r.Feed, Decisions: 3, Block: PolicyShift{More: 2}, Samples: []PolicySample{}}, f.note("PolicyTest", asJSON(r))
}
func (f *fakeNode) Promote(_ context.Context, r Promote) (Promoted, error) {
	return Promoted{Feed: r.Feed, Actions: r.Actions, Warnings: []string{}}, f.note("Promote", asJSON(r))
}
func (f *fakeNode) Explain(_ context.Context, r Explain) (policy.Explained, error) {
	return policy.Explained{Verdict: policy.OutcomeLog, Text: "log", Matches: []policy.MatchExplained{}, Notes: []string{}}, f.note("Explain", r)
}
func (f *fakeNode) Resolve(_ context.Context, ref feed.Ref, r Resolution) (Published, error) {
	return f.published, f.note("Resolve", ref, r)
}
func (f *fakeNode) Suspend(_ context.Context, refs []feed.Ref) (Published, error) {
	return f.published, f.note("Suspend", refs)
}
func (f *fakeNode) Batches(context.Context) ([]Batch, error) {
	return []Batch{{ID: "0123456789abcdef", Signed: 1, Needs: 2}}, f.note("Batches")
}
func (f *fakeNode) Batch(_ context.Context, id string, pledged uint64) (BatchText, error) {
	return BatchText{Batch: Batch{ID: id}, Tree: [][]byte{{1}}, Records: []BatchRecord{{Head: []byte{2}}}}, f.note("Batch", id, pledged)
}
func (f *fakeNode) Approve(_ context.Context, id, line string) (Approved, error) {
	return Approved{ID: id, Signed: 2, Needs: 2, Published: true}, f.note("Approve", id, fmt.Sprintf("%q", line))
}
func (f *fakeNode) Withdraw(_ context.Context, id, line string) error {
	return f.note("Withdraw", id, fmt.Sprintf("%q", line))
}
func (f *fakeNode) Match(ctx context.Context, hashes []feed.Hash, oneFile bool) ([]policy.Verdict, error) {
	args := []any{len(hashes), oneFile}
	if ref := RefOf(ctx); ref != "" {
		args = append(args, ref)
	}
	err := f.note("Match", args...)
	var verdicts []policy.Verdict
	for _, h := range hashes {
		v := policy.Verdict{Query: h.Text(), Verdict: policy.OutcomeAllow, Checked: []string{h.Alg.String()}}
		if f.block != "" && h.String() == "md5:"+f.block {
			v.Verdict = policy.OutcomeBlock
		}
		verdicts = append(verdicts, v)
	}
	if oneFile {
		verdicts = verdicts[:1]
	}
	return verdicts, err
}
func (f *fakeNode) Answers(ctx context.Context, hashes *feed.Hashes) (policy.Answers, error) {
	verdicts, err := f.Match(ctx, hashes.List(), false)
	f.asked[len(f.asked)-1] = fmt.Sprintf("Answers %d", hashes.Len())
	return policy.AnswersOf(verdicts), err
}
func (f *fakeNode) Scan(_ context.Context, r io.Reader, ref string) (policy.Verdict, error) {
	n, err := io.Copy(io.Discard, r)
	if err != nil {
		return policy.Verdict{}, fmt.Errorf("scan: %w", err)
	}
	return policy.Verdict{Verdict: policy.OutcomeReview}, f.note("Scan", n, ref)
}
func (f *fakeNode) Follow(_ context.Context, r Follow) (Followed, error) {
	return Followed{Feed: "b.example/known", Digits: "00000"}, f.note("Follow", r.Invite, r.Action)
}
func (f *fakeNode) Unfollow(_ context.Context, name string) error { return f.note("Unfollow", name) }
func (f *fakeNode) Members(context.Context) ([]Member, error) {
	return []Member{{Feed: "a.example/known", PeerID: "12D3"}}, f.note("Members")
}
func (f *fakeNode) AddMember(_ context.Context, r AddMember) (Member, error) {
	return Member{PeerID: r.PeerID, Name: r.Name}, f.note("AddMember", r.PeerID, r.Name)
}
func (f *fakeNode) RemoveMember(_ context.Context, name, peerID string) error {
	return f.note("RemoveMember", name, peerID)
}
func (f *fakeNode) Peers(context.Context) ([]Peer, error) {
	return []Peer{{PeerID: "12D3", Name: "b.example"}}, f.note("Peers")
}
func (f *fakeNode) AddPeer(_ context.Context, r AddPeer) error {
	return f.note("AddPeer", r.PeerID, r.Address)
}
func (f *fakeNode) RemovePeer(_ context.Context, peerID string) error {
	return f.note("RemovePeer", peerID)
}
func (f *fakeNode) CreateToken(_ context.Context, r CreateToken) (NewToken, error) {
	return NewToken{Token: "secret", Name: r.Name, Scopes: r.Scopes}, f.note("CreateToken", r)
}
func (f *fakeNode) Tokens(context.Context) ([]Token, error) {
	return []Token{{Name: "t"}}, f.note("Tokens")
}
func (f *fakeNode) RevokeToken(_ context.Context, name string) error {
	return f.note("RevokeToken", name)
}
func (f *fakeNode) KnownGood(context.Context) (KnownGood, error) {
	return KnownGood{Sources: []KnownSource{{Kind: KnownBuiltin, Files: 7}}, Files: []KnownFile{{Name: "logo.png", Hashes: []string{"md5:00"}}}}, f.note("KnownGood")
}
func (f *fakeNode) AddKnownGood(_ context.Context, files []KnownFile) (KnownChange, error) {
	return KnownChange{Added: len(files), Files: 9}, f.note("AddKnownGood", asJSON(files))
}
func (f *fakeNode) RemoveKnownGood(_ context.Context, hash string) (KnownChange, error) {
	return KnownChange{Removed: 1}, f.note("RemoveKnownGood", hash)
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (f *fakeNode) SelfTest(context.Context) (SelfTest, error) {
	return SelfTest{Passed: true, Doors: []DoorTested{{Door: "api scan", OK: true}}}, f.note("SelfTest")
}
func (f *fakeNode) Doctor(context.Context) ([]Finding, error) {
	return []Finding{{Kind: "backup", State: FindingWarning}}, f.note("Doctor")
}
func (f *fakeNode) Backup(_ context.Context, w io.Writer) error {
	if err := f.note("Backup"); err != nil {
		return err
	}
	_, err := io.WriteString(w, "archive")
	return err
}
func (f *fakeNode) Fsck(_ context.Context, repair bool) iter.Seq2[Finding, error] {
	err, end := f.note("Fsck", repair), f.logErr
	return func(yield func(Finding, error) bool) {
		if err != nil {
			yield(Finding{}, err)
			return
		}
		for _, kind := range []string{"key", "tile"} {
			if !yield(Finding{Kind: kind, State: FindingDamaged}, nil) {
				return
			}
		}
		if end != nil {
			yield(Finding{}, end)
		}
	}
}

// tokens of the tests are called like the scope they have.
func tokensByScope(token string) ([]string, bool) {
	if ValidScope(token) {
		return []string{token}, true
	}
	return nil, false
}

func newTestServer(f *fakeNode) *Server {
	return NewServer(f, Options{Tokens: tokensByScope, Hosts: []string{"api.example"}, Limits: Limits{ScanBytes: 1000}, Part: testPart, Events: testEvents})
}

// testEvents is a stream that ends at once.
func testEvents(after string) (EventStream, error) {
	next := make(chan EventLine)
	close(next)
	return EventStream{Past: []EventLine{{ID: "2", Kind: "block", JSON: []byte(`{"id":"2"}`)}}, Gap: after == "gone", Next: next, Stop: func() {}}, nil
}

// call asks the TCP door in this process.
func call(s *Server, method, path, contentType, token, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost:8480"
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
		}()
		s.TCP().Handler.ServeHTTP(w, r)
	}()
	return w
}

func testPart(origin feed.Origin, path string) ([]byte, error) {
	switch {
	case origin != "a.example/known/1":
		return nil, fs.ErrNotExist
	case path == "checkpoint", path == "tile/0/000", path == "tile/entries/x001/234.p/7":
		return []byte(path), nil
	}
	return nil, fs.ErrNotExist
}

// dialTest serves f on a socket and returns a client of it.
func dialTest(t *testing.T, f *fakeNode) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	server := newTestServer(f).Socket()
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return c
}

func verbNames() (names []string) {
	t := reflect.TypeFor[Verbs]()
	for i := range t.NumMethod() {
		names = append(names, t.Method(i).Name)
	}
	return names
}

func contextWithLocal(r *http.Request, addr net.Addr) context.Context {
	return context.WithValue(r.Context(), http.LocalAddrContextKey, addr)
}

func (f *fakeNode) Journal(_ context.Context, q JournalQuery) (JournalPage, error) {
	i := journal.Import{Run: "R", Source: "s", Permission: "contract 7", Added: 3, Overrides: map[string]int{"legal": 1}, Done: true}
	return JournalPage{Entries: []JournalEntry{{Decision: "01A", Seq: 7}}, Imports: []JournalImport{{ID: "01B", Seq: 5, Import: i}}, More: true, Next: 5}, f.note("Journal", asJSON(q))
}
func (f *fakeNode) Decision(_ context.Context, id string) (JournalEntry, error) {
	return JournalEntry{Decision: id, Seq: 7}, f.note("Decision", id)
}
func (f *fakeNode) DecisionReceipt(_ context.Context, id string) ([]byte, error) {
	return []byte("receipt of " + id), f.note("DecisionReceipt", id)
}
func (f *fakeNode) Act(_ context.Context, id string, r JournalAct) (JournalEntry, error) {
	return JournalEntry{Decision: id, Acts: []JournalDone{{Done: r.Done}}}, f.note("Act", id, asJSON(r))
}
func (f *fakeNode) Affected(_ context.Context, ref feed.Ref) (JournalAffected, error) {
	return JournalAffected{Ref: ref.String()}, f.note("Affected", ref)
}
func (f *fakeNode) JournalStats(_ context.Context, since, until time.Time) (JournalStats, error) {
	return JournalStats{Since: since, Until: until, Allow: 5}, f.note("JournalStats", since.UTC().Format(time.RFC3339Nano), until.UTC().Format(time.RFC3339Nano))
}
