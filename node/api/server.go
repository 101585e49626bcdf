package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hashfeed/feed"
)

// Options are what a Server is told besides the Verbs. The zero Options serve nobody over TCP.
type Options struct {
	// Tokens tells what a bearer token may do; ok is false for one that isn't known. It must compare in constant time and be safe for
	// concurrent use. nil knows none.
	Tokens func(token string) (scopes []string, ok bool)

	// Hosts are more names under which the TCP door may be asked, in lower case and without ports, besides localhost, loopback
	// addresses and the address that the connection came in by.
	Hosts []string

	Limits Limits

	Logger   *slog.Logger         // nil: nothing is logged. Requests are logged at Debug, without what they ask for
	Registry *prometheus.Registry // what /metrics shows, and where the server counts; nil: one of its own
	Ready    func() error         // why the node can't answer well, nil if it can; nil: it always can

	// Part returns a file of the C2SP tlog-tiles read path of a log: "checkpoint" or "tile/…"; an error that is fs.ErrNotExist
	// if there is none. nil: there are none. It is never asked for bodies.
	Part func(origin feed.Origin, path string) ([]byte, error)

	// Events begins a stream of what happens, after the event with an id, or from now on if that is "". It bounds how many there are. nil: none.
	Events func(after string) (EventStream, error)

	Version string // of the program, for /openapi.json
}

// Limits bound what requests may take. Zeros stand for the defaults.
type Limits struct {
	Requests  int   // answered at once; one more waits 2 s and gets 429. Default 256
	ScanBytes int64 // size of a scanned body. Default 256 MiB
}

// A Server answers HTTP requests by asking Verbs. Its handlers are safe for concurrent use.
type Server struct {
	verbs   Verbs
	o       Options
	hosts   map[string]bool
	log     *slog.Logger
	metrics *metrics
	routes  []route
	spec    []byte        // /openapi.json
	slots   chan struct{} // a request holds one while it is answered
}

// NewServer makes a server of a node. It registers its counters in o.Registry.
func NewServer(v Verbs, o Options) *Server {
	s := &Server{verbs: v, o: o, hosts: map[string]bool{"localhost": true}, log: o.Logger}
	for _, h := range o.Hosts {
		s.hosts[h] = true
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.o.Registry == nil {
		s.o.Registry = prometheus.NewRegistry()
	}
	if s.o.Tokens == nil {
		s.o.Tokens = func(string) ([]string, bool) { return nil, false }
	}
	if s.o.Limits.ScanBytes == 0 {
		s.o.Limits.ScanBytes = DefaultScanBytes
	}
	if s.o.Limits.Requests == 0 {
		s.o.Limits.Requests = defaultRequests
	}
	s.metrics = newMetrics(s.o.Registry)
	s.slots = make(chan struct{}, s.o.Limits.Requests)
	s.routes = s.table()
	s.spec = describe(s.routes, o.Version)
	return s
}

// TCP returns the server for the TCP door, where every call but /livez and /readyz wants a token. Whoever gets it calls Serve and Shutdown.
func (s *Server) TCP() *http.Server { return s.door(tcpDoor{s}) }

// Socket returns the server for the unix socket. Whoever can connect may do everything: the file's permission is the credential.
func (s *Server) Socket() *http.Server { return s.door(socketDoor{}) }

// guard is what tells the doors apart.
type guard interface {
	// admit says why r may not be asked here, before it is known what is asked for.
	admit(r *http.Request) *Error
	// permit says why r may not ask for what wants scope.
	permit(r *http.Request, scope string) *Error
	// tell returns the error that r's sender may see.
	tell(e *Error) *Error
}

func (s *Server) door(g guard) *http.Server {
	mux := http.NewServeMux()
	for i := range s.routes {
		t := &s.routes[i]
		mux.Handle(t.method+" "+t.path, s.handler(g, t))
	}
	// A token is asked for before it is told what there is.
	mux.Handle("/", s.handler(g, &route{path: "none", scope: scopeAny, cap: 0, handle: func(w http.ResponseWriter, r *http.Request) error {
		return noRoute(mux, w, r)
	}}))
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          s.errorLog(),
	}
}

// errorLog is where connections that fail are told of.
func (s *Server) errorLog() *log.Logger { return slog.NewLogLogger(s.log.Handler(), slog.LevelDebug) }

// noRoute tells a wrong method from a wrong path.
func noRoute(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) error {
	var methods []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		other := *r
		other.Method = m
		if _, pattern := mux.Handler(&other); pattern != "/" {
			methods = append(methods, m)
		}
	}
	if len(methods) == 0 {
		return errorf(http.StatusNotFound, CodeNotFound, "there is no such call; GET /openapi.json lists them")
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	return errorf(http.StatusMethodNotAllowed, CodeMethod, "this call is made with %s", strings.Join(methods, " or "))
}

// handler answers requests of one route at one door.
func (s *Server) handler(g guard, t *route) http.Handler {
	counted := s.metrics.route(t.path)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		out := &answer{ResponseWriter: w}
		out.Header().Set("X-Content-Type-Options", "nosniff")
		out.Header().Set("Cache-Control", "no-store")
		broken := false
		r = hearAlone(r)
		if err := s.serve(g, t, out, r); err != nil {
			e := g.tell(s.note(t, r, err))
			if out.status == 0 {
				writeProblem(out, e)
			} else {
				broken = true
			}
		}
		s.answered(counted, out.code(), time.Since(start))
		if broken {
			// Part of the answer is out. Only a connection that breaks tells the reader that it isn't all.
			panic(http.ErrAbortHandler)
		}
	})
}

// answered counts a request, and logs it.
func (s *Server) answered(counted *routeMetrics, status int, took time.Duration) {
	counted.count(status, took)
	if s.log.Enabled(context.Background(), slog.LevelDebug) {
		s.log.Debug("request answered", "route", counted.path, "status", status, "seconds", took.Seconds())
	}
}

// serve checks and answers a request.
func (s *Server) serve(g guard, t *route, w http.ResponseWriter, r *http.Request) error {
	if e := g.admit(r); e != nil {
		return e
	}
	if e := g.permit(r, t.scope); e != nil {
		return e
	}
	if t.scope != scopeNone && !t.lasting {
		release, err := s.slot(r.Context())
		if err != nil {
			return err
		}
		defer release()
	}
	if err := t.checkBody(r); err != nil {
		return err
	}
	control := http.NewResponseController(w)
	r.Body = http.MaxBytesReader(w, steadyBody{r.Body, control}, t.cap)
	return t.handle(steadyAnswer{w, control}, r)
}

// slot waits for one of the places for requests.
func (s *Server) slot(ctx context.Context) (release func(), err error) {
	release = func() { <-s.slots }
	select {
	case s.slots <- struct{}{}:
		return release, nil
	default:
	}
	wait := time.NewTimer(queueTime)
	defer wait.Stop()
	select {
	case s.slots <- struct{}{}:
		return release, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-wait.C:
		return nil, errorf(http.StatusTooManyRequests, CodeBusy, "%d requests are being answered already", cap(s.slots))
	}
}

// note logs what the operator should know of, and returns the Error for err.
func (s *Server) note(t *route, r *http.Request, err error) *Error {
	e := asError(err)
	if e.Status >= 500 && r.Context().Err() == nil && e.Status != http.StatusServiceUnavailable {
		s.log.Error("request not answered", "route", t.path, "err", err)
	}
	return e
}

// checkBody looks at the headers of a request for what its body is.
func (t *route) checkBody(r *http.Request) error {
	if r.ContentLength > t.cap {
		return &http.MaxBytesError{Limit: t.cap}
	}
	if len(t.takes) == 0 || r.ContentLength == 0 && t.bodyOptional {
		return nil
	}
	got := mediaType(r)
	var types []string
	for _, c := range t.takes {
		if c.mediaType == got || c.mediaType == "*/*" && got != "multipart/form-data" {
			return nil
		}
		types = append(types, c.mediaType)
	}
	return errorf(http.StatusUnsupportedMediaType, CodeMediaType, "Content-Type %.60q: want %s", got, strings.Join(types, ", "))
}

// mediaType is what a request says that its body is, without parameters; "" if that can't be read.
func mediaType(r *http.Request) string {
	switch text := r.Header.Get("Content-Type"); text {
	case jsonType, textType, octetType, ndjsonType: // nearly always
		return text
	default:
		got, _, err := mime.ParseMediaType(text)
		if err != nil {
			return ""
		}
		return got
	}
}

// answer remembers the status that was sent.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) code() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

// steadyBody gives every read its own deadline: a large body may take long, a stalled one not.
type steadyBody struct {
	body interface {
		Read([]byte) (int, error)
		Close() error
	}
	control *http.ResponseController
}

func (b steadyBody) Read(p []byte) (int, error) {
	b.control.SetReadDeadline(time.Now().Add(stallTime)) // not every transport has deadlines
	return b.body.Read(p)
}

func (b steadyBody) Close() error { return b.body.Close() }

// steadyAnswer does the same for writes.
type steadyAnswer struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (a steadyAnswer) Write(p []byte) (int, error) {
	a.control.SetWriteDeadline(time.Now().Add(stallTime))
	return a.ResponseWriter.Write(p)
}

func (a steadyAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// socketDoor admits everybody whom the file system let connect.
type socketDoor struct{}

func (socketDoor) admit(*http.Request) *Error          { return nil }
func (socketDoor) permit(*http.Request, string) *Error { return nil }
func (socketDoor) tell(e *Error) *Error                { return e }

// tcpDoor trusts nobody.
type tcpDoor struct{ *Server }

var crossOrigin = http.NewCrossOriginProtection()

func (d tcpDoor) admit(r *http.Request) *Error {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !d.known(r.Host, local) {
		return &Error{Status: http.StatusMisdirectedRequest, Code: CodeMisdirected, Text: "this node isn't asked under that name",
			Hint: "api_hosts in hashfeed.toml names further ones"}
	}
	if err := crossOrigin.Check(r); err != nil {
		return errorf(http.StatusForbidden, CodeCrossOrigin, "a page of another origin may not ask this")
	}
	return nil
}

// known tells whether who asks host, at the address local, asks under a name that can only be ours. A page that rebinds its own domain to our address
// (DNS rebinding) still sends that domain as Host; an address as Host can't be rebound.
func (s *Server) known(host string, local net.Addr) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return s.hosts[host]
	}
	if ip.IsLoopback() || s.hosts[host] {
		return true
	}
	tcp, ok := local.(*net.TCPAddr)
	return ok && tcp.AddrPort().Addr().Unmap() == ip.Unmap()
}

func (d tcpDoor) permit(r *http.Request, scope string) *Error {
	if scope == scopeNone {
		return nil
	}
	return d.allowed(r.Header.Get("Authorization"), scope)
}

// allowed says why who sends this header Authorization may not ask for what wants scope.
func (s *Server) allowed(authorization, scope string) *Error {
	kind, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(kind, "Bearer") || token == "" || len(token) > maxToken {
		return errorf(http.StatusUnauthorized, CodeToken, "a bearer token is wanted; hashfeed token create makes one")
	}
	scopes, ok := s.o.Tokens(token)
	if !ok {
		return errorf(http.StatusUnauthorized, CodeToken, "this token isn't known")
	}
	if !allows(scopes, scope) {
		return errorf(http.StatusForbidden, CodeScope, "this token has not the scope %s", scope)
	}
	return nil
}

// tell keeps the inner workings, such as paths, from the network; the operator's log has them.
func (d tcpDoor) tell(e *Error) *Error {
	if e.Code == CodeInternal {
		return errorf(e.Status, e.Code, "the node could not answer this; its log says why")
	}
	return e
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// readJSON reads a body into v: one value and nothing after it, with no key that v hasn't got. An empty body is {}.
func readJSON(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if r.ContentLength == 0 {
			return nil
		}
		return jsonError(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return malformed("the body goes on after its JSON value")
	}
	return nil
}

func jsonError(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) || isTimeout(err) {
		return err
	}
	return malformed("read the body: %v", err)
}

// query returns a parameter of the query, and refuses those that aren't known: a misspelt one must not be ignored.
func query(r *http.Request, known ...string) (func(name string) string, error) {
	if r.URL.RawQuery == "" {
		return func(string) string { return "" }, nil
	}
	values := r.URL.Query()
	for name := range values {
		if !slices.Contains(known, name) {
			return nil, malformed("unknown parameter %.40q", name)
		}
	}
	return values.Get, nil
}
