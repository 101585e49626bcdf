package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// ErrNoDaemon says that nobody serves a socket: there is none, or it was left behind.
var ErrNoDaemon = errors.New("no daemon is running")

// Client is a node, asked over its daemon's socket, or from afar over TCP. Its methods may be called by any number of goroutines.
type Client struct {
	http  *http.Client
	base  string // URL without a path
	token string // "" over the socket, where the file's permission is the credential
}

var _ Verbs = (*Client)(nil)

// Dial connects to the daemon's unix socket. The error is ErrNoDaemon where nobody serves it. Whoever gets a Client closes it.
func Dial(ctx context.Context, socket string) (*Client, error) {
	dialer := net.Dialer{Timeout: dialTime}
	c := newClient("http://hashfeed", "")
	c.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	resp, err := c.send(ctx, http.MethodGet, "/livez", "", nil)
	if err != nil {
		c.http.CloseIdleConnections()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("dial %s: %w", socket, ErrNoDaemon)
		}
		return nil, err
	}
	resp.Body.Close()
	return c, nil
}

// DialURL asks a node from afar, with a token. What is asked and answered has hashes in it: the URL's scheme is https, or its
// host is this machine. Whoever gets a Client closes it.
func DialURL(base, token string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, malformed("API %.200q: want a URL such as https://node.example", base)
	}
	ip := net.ParseIP(u.Hostname())
	switch here := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback(); {
	case u.Scheme == "https", u.Scheme == "http" && here:
	default:
		return nil, malformed("API %.200q: want https; plain http only to this machine", base)
	}
	return newClient(u.Scheme+"://"+u.Host, token), nil
}

func newClient(base, token string) *Client {
	return &Client{base: base, token: token, http: &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: dialTime}).DialContext,
			TLSHandshakeTimeout:    dialTime,
			ResponseHeaderTimeout:  answerTime,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    8,
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close lets go of the connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// send makes a request; the answer is one of success, and its body the caller's to close. Errors of the node are *Error.
func (c *Client) send(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if Alone(ctx) {
		r.Header.Set(aloneHeader, "true")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		var wrapped *url.Error // its text has the made-up URL
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("ask the daemon: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readProblem(resp)
}

func readProblem(resp *http.Response) *Error {
	e := &Error{Status: resp.StatusCode, Code: CodeInternal, Text: "the daemon answers " + resp.Status}
	if t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); t != problemType {
		return e
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	var p Problem
	if err != nil || json.Unmarshal(text, &p) != nil || p.Code == "" {
		return e
	}
	p.Status = resp.StatusCode
	return p.error()
}

// ask sends in as JSON, nothing if it is nil, and reads the answer into out, unless that is nil.
func (c *Client) ask(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	contentType := ""
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("ask the daemon: %w", err)
		}
		body, contentType = bytes.NewReader(text), jsonType
	}
	resp, err := c.send(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	return readAnswer(resp.Body, out)
}

// readAnswer reads one JSON value. Keys that out hasn't got are a newer daemon's.
func readAnswer(body io.Reader, out any) error {
	limited := &io.LimitedReader{R: body, N: maxAnswer}
	if err := json.NewDecoder(limited).Decode(out); err != nil {
		if limited.N == 0 {
			return fmt.Errorf("read the daemon's answer: larger than %d bytes", maxAnswer)
		}
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}

func (c *Client) Identity(ctx context.Context) (id Identity, err error) {
	return id, c.ask(ctx, http.MethodGet, "/v1/identity", nil, &id)
}

func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.ask(ctx, http.MethodGet, "/v1/status", nil, &s)
}

func (c *Client) Feeds(ctx context.Context) ([]FeedInfo, error) {
	var a feedsAnswer
	err := c.ask(ctx, http.MethodGet, "/v1/feeds", nil, &a)
	return a.Feeds, err
}

func (c *Client) Feed(ctx context.Context, name string) (f FeedInfo, err error) {
	return f, c.ask(ctx, http.MethodGet, "/v1/feed?name="+url.QueryEscape(name), nil, &f)
}

func (c *Client) CreateFeed(ctx context.Context, r CreateFeed) (f FeedInfo, err error) {
	return f, c.ask(ctx, http.MethodPost, "/v1/feeds", r, &f)
}

// feedPath finds the path of a feed by any form of its name.
func (c *Client) feedPath(ctx context.Context, name string) (string, error) {
	if _, err := feed.ParseOrigin(name); err == nil {
		return "/v1/feeds/" + name, nil
	}
	f, err := c.Feed(ctx, name)
	if err != nil {
		return "", err
	}
	if _, err := feed.ParseOrigin(f.Origin); err != nil {
		return "", fmt.Errorf("read the daemon's answer: %w", err)
	}
	return "/v1/feeds/" + f.Origin, nil
}

// Log yields records as they come; an answer that breaks off ends with an error.
func (c *Client) Log(ctx context.Context, name string, from, n uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // whoever stops early must not have to read the rest
		path, err := c.feedPath(ctx, name)
		if err != nil {
			yield(Record{}, err)
			return
		}
		path += "/log?from=" + strconv.FormatUint(from, 10)
		if n > 0 {
			path += "&n=" + strconv.FormatUint(n, 10)
		}
		resp, err := c.send(ctx, http.MethodGet, path, "", nil)
		if err != nil {
			yield(Record{}, err)
			return
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(make([]byte, 0, 4096), maxRecordLine)
		for lines.Scan() {
			var line struct {
				streamEnd
				Record
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				yield(Record{}, fmt.Errorf("read the daemon's answer: %w", err))
				return
			}
			if line.End {
				return
			}
			if !yield(line.Record, nil) {
				return
			}
		}
		err = lines.Err()
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		yield(Record{}, fmt.Errorf("read the daemon's answer: %w", err))
	}
}

// recordPath is the path of a record.
func recordPath(ref feed.Ref, rest string) string {
	return "/v1/records/" + string(ref.Origin) + "/" + strconv.FormatUint(ref.Index, 10) + rest
}

func (c *Client) Record(ctx context.Context, ref feed.Ref) (r Record, err error) {
	return r, c.ask(ctx, http.MethodGet, recordPath(ref, ""), nil, &r)
}

func (c *Client) Prove(ctx context.Context, ref feed.Ref, withBody bool) ([]byte, error) {
	resp, err := c.send(ctx, http.MethodGet, recordPath(ref, "/proof?body="+strconv.FormatBool(withBody)), "", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	proof, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the daemon's answer: %w", err)
	}
	return proof, nil
}

func (c *Client) Mirror(ctx context.Context, name string, w io.Writer) error {
	path, err := c.feedPath(ctx, name)
	if err != nil {
		return err
	}
	resp, err := c.send(ctx, http.MethodGet, path+"/mirror", "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("copy mirror: %w", err)
	}
	return nil
}

func (c *Client) Publish(ctx context.Context, r Publish) ([]Published, error) {
	if r.Items == nil {
		r.Items = []Item{} // else the body would be taken for one item without anything
	}
	var a publishAnswer
	err := c.ask(ctx, http.MethodPost, "/v1/records", r, &a)
	return a.Results, err
}

func (c *Client) Retract(ctx context.Context, ref feed.Ref, reason feed.Reason) (p Published, err error) {
	return p, c.ask(ctx, http.MethodPost, recordPath(ref, "/retract"), reasonBody{reason.String()}, &p)
}

func (c *Client) Revise(ctx context.Context, ref feed.Ref, r Revision) (p Published, err error) {
	return p, c.ask(ctx, http.MethodPost, recordPath(ref, "/revise"), r, &p)
}

func (c *Client) Endorse(ctx context.Context, ref feed.Ref) (p Published, err error) {
	return p, c.ask(ctx, http.MethodPost, recordPath(ref, "/endorse"), nil, &p)
}

func (c *Client) Dispute(ctx context.Context, ref feed.Ref, reason feed.Reason) (p Published, err error) {
	return p, c.ask(ctx, http.MethodPost, recordPath(ref, "/dispute"), reasonBody{reason.String()}, &p)
}

func (c *Client) Resolve(ctx context.Context, ref feed.Ref, r Resolution) (p Published, err error) {
	return p, c.ask(ctx, http.MethodPost, recordPath(ref, "/resolve"), r, &p)
}

func (c *Client) Suspend(ctx context.Context, refs []feed.Ref) (p Published, err error) {
	if len(refs) == 0 {
		return p, errorf(http.StatusUnprocessableEntity, CodeIncomplete, "suspend: no record is named")
	}
	var body suspendBody
	for _, r := range refs[1:] {
		body.Refs = append(body.Refs, r.String())
	}
	return p, c.ask(ctx, http.MethodPost, recordPath(refs[0], "/suspend"), body, &p)
}

func (c *Client) Match(ctx context.Context, hashes []feed.Hash, oneFile bool) ([]policy.Verdict, error) {
	verdicts := make([]policy.Verdict, 0, len(hashes))
	for first := true; first || len(hashes) > 0; first = false {
		n := min(len(hashes), clientChunk)
		if oneFile {
			n = len(hashes)
		}
		q := matchRequest{Hashes: make([]string, n), OneFile: oneFile}
		if oneFile {
			q.Ref = RefOf(ctx)
		}
		for i, h := range hashes[:n] {
			q.Hashes[i] = h.Text() // with its quality, which decides whether neighbours are looked for
		}
		var a matchAnswer
		if err := c.ask(ctx, http.MethodPost, "/v1/match", q, &a); err != nil {
			return nil, err
		}
		if !oneFile && len(a.Results) != n || oneFile && len(a.Results) != 1 {
			return nil, fmt.Errorf("read the daemon's answer: %d verdicts for %d hashes", len(a.Results), n)
		}
		verdicts, hashes = append(verdicts, a.Results...), hashes[n:]
	}
	return verdicts, nil
}

func (c *Client) Answers(ctx context.Context, hashes *feed.Hashes) (policy.Answers, error) {
	verdicts, err := c.Match(ctx, hashes.List(), false)
	return policy.AnswersOf(verdicts), err
}

func (c *Client) Scan(ctx context.Context, r io.Reader, ref string) (v policy.Verdict, err error) {
	path := "/v1/scan"
	if ref != "" {
		path += "?ref=" + url.QueryEscape(ref)
	}
	// Hidden behind a plain Reader, so that the transport doesn't close what isn't ours.
	resp, err := c.send(ctx, http.MethodPost, path, octetType, struct{ io.Reader }{r})
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	return v, readAnswer(resp.Body, &v)
}

func (c *Client) CreateToken(ctx context.Context, r CreateToken) (t NewToken, err error) {
	return t, c.ask(ctx, http.MethodPost, "/v1/tokens", r, &t)
}

func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	var a tokensAnswer
	err := c.ask(ctx, http.MethodGet, "/v1/tokens", nil, &a)
	return a.Tokens, err
}

func (c *Client) RevokeToken(ctx context.Context, name string) error {
	return c.ask(ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(name), nil, nil)
}

func (c *Client) Peers(ctx context.Context) ([]Peer, error) {
	var a peersAnswer
	err := c.ask(ctx, http.MethodGet, "/v1/peers", nil, &a)
	return a.Peers, err
}

func (c *Client) AddPeer(ctx context.Context, r AddPeer) error {
	return c.ask(ctx, http.MethodPost, "/v1/peers", r, nil)
}

func (c *Client) RemovePeer(ctx context.Context, peerID string) error {
	return c.ask(ctx, http.MethodDelete, "/v1/peers/"+url.PathEscape(peerID), nil, nil)
}

func (c *Client) Members(ctx context.Context) ([]Member, error) {
	var a membersAnswer
	err := c.ask(ctx, http.MethodGet, "/v1/members", nil, &a)
	return a.Members, err
}

func (c *Client) AddMember(ctx context.Context, r AddMember) (m Member, err error) {
	return m, c.ask(ctx, http.MethodPost, "/v1/members", r, &m)
}

func (c *Client) RemoveMember(ctx context.Context, name, peerID string) error {
	return c.ask(ctx, http.MethodDelete, "/v1/members/"+url.PathEscape(peerID)+"?feed="+url.QueryEscape(name), nil, nil)
}

func (c *Client) Follow(ctx context.Context, r Follow) (f Followed, err error) {
	return f, c.ask(ctx, http.MethodPost, "/v1/follow", r, &f)
}

func (c *Client) Unfollow(ctx context.Context, name string) error {
	pub, short, _ := strings.Cut(name, "/")
	short, _, _ = strings.Cut(short, "/") // of an origin, the log
	return c.ask(ctx, http.MethodDelete, "/v1/follow/"+url.PathEscape(pub)+"/"+url.PathEscape(short), nil, nil)
}
