package api

import (
	"net/http"
	"reflect"
	"slices"

	"hashfeed/node/policy"
)

// route is one call: the one table from which the server, its guards and /openapi.json are made. A call that isn't in it doesn't exist.
type route struct {
	method, path string
	scope        string // that a token must have; scopeNone only where nothing is told but that the node is up
	summary      string
	cap          int64 // bytes of body
	takes        []content
	bodyOptional bool
	lasting      bool      // it may last, so it takes none of the places for requests
	params       []param   // of the query
	gives        []outcome // besides problems
	handle       func(http.ResponseWriter, *http.Request) error
}

// content is a form of a body.
type content struct {
	mediaType string
	of        reflect.Type // nil: bytes or text, as about says
	about     string
}

type param struct{ name, about string }

type outcome struct {
	status int
	content
}

const (
	jsonType   = "application/json"
	textType   = "text/plain"
	octetType  = "application/octet-stream"
	ndjsonType = "application/x-ndjson"
)

func jsonOf[T any]() content { return content{mediaType: jsonType, of: reflect.TypeFor[T]()} }

func ok[T any]() []outcome { return []outcome{{http.StatusOK, jsonOf[T]()}} }

func bytesOf(mediaType, about string) []outcome {
	return []outcome{{http.StatusOK, content{mediaType: mediaType, about: about}}}
}

// published are the answers of what adds a record.
func published() []outcome {
	return []outcome{{http.StatusCreated, jsonOf[Published]()}, {http.StatusAccepted, jsonOf[Published]()}}
}

func (s *Server) table() []route {
	get := func(path, scope, summary string, gives []outcome, handle func(http.ResponseWriter, *http.Request) error, params ...param) route {
		return route{method: http.MethodGet, path: path, scope: scope, summary: summary, gives: gives, handle: handle, params: params}
	}
	const (
		oneFeed   = "/v1/feeds/{pub}/{feed}/{log}"
		oneRecord = "/v1/records/{pub}/{feed}/{log}/{index}"
		readPath  = "/feed/{pub}/{feed}/{log}"
	)
	state := func(verb, summary string, body content, optional bool, handle func(*Server, http.ResponseWriter, *http.Request) error) route {
		return route{method: http.MethodPost, path: oneRecord + "/" + verb, scope: ScopePublish, summary: summary, cap: maxSmall,
			takes: []content{body}, bodyOptional: optional, gives: published(),
			handle: func(w http.ResponseWriter, r *http.Request) error { return handle(s, w, r) }}
	}
	return append([]route{
		{method: http.MethodPost, path: "/v1/match", scope: ScopeMatch, summary: "Verdicts on hashes; 200 whatever the verdict",
			cap: 1 << 62, // each form has its own
			takes: []content{
				jsonOf[matchRequest](),
				{mediaType: textType, about: "one hash a line, any number, answered while they come"},
				{mediaType: ndjsonType, about: "one hash a line, bare or as a JSON string, any number, answered while they come"},
				{mediaType: octetType, about: "digests of the kind alg, end to end"},
			},
			params: []param{{"alg", "of the octet-stream form: md5, sha1, sha256, pdq, pdq_full or photodna"}},
			gives: []outcome{
				{http.StatusOK, jsonOf[matchAnswer]()},
				{http.StatusOK, content{mediaType: textType, about: "allow, log, review, block, or error for what is no hash; a line each"}},
				{http.StatusOK, content{mediaType: ndjsonType, of: reflect.TypeFor[policy.Verdict](), about: "a verdict each, in the questions' order, a line each"}},
				{http.StatusOK, content{mediaType: octetType, about: "a byte each: 0 allow, 1 log, 2 review, 3 block"}},
			},
			handle: s.match},
		{method: http.MethodPost, path: "/v1/scan", scope: ScopeMatch, summary: "Hash a file and answer over all its hashes; nothing of it is kept",
			cap: s.o.Limits.ScanBytes, takes: []content{{mediaType: "*/*", about: "the file itself, no form"}}, bodyOptional: true,
			params: []param{{"ref", "the caller's own reference, opaque, at most 256 bytes"}}, gives: ok[policy.Verdict](), handle: s.scan},

		{method: http.MethodPost, path: "/v1/records", scope: ScopePublish, summary: "List an item, or several at once",
			cap: maxPublish, takes: []content{jsonOf[publishBody]()},
			gives: append(published(), outcome{http.StatusOK, jsonOf[publishAnswer]()}), handle: s.publish},
		state("retract", "Retract the record's item", jsonOf[reasonBody](), false, retract),
		state("revise", "Change what the item's record says; what is left out stays", jsonOf[Revision](), false, revise),
		state("dispute", "Dispute the record: held here at once, and told to its publisher", jsonOf[reasonBody](), false, dispute),
		state("endorse", "Endorse the record in an own feed", jsonOf[struct{}](), true, endorse),
		state("resolve", "Answer a dispute of the record's item", jsonOf[Resolution](), false, resolve),
		state("suspend", "Hold the record's item for 72 hours, at once", jsonOf[suspendBody](), true, suspend),

		get("/v1/identity", ScopeRead, "Who this node is", ok[Identity](), s.identity),
		get("/v1/status", ScopeRead, "The state of the node, its feeds, peers and alarms", ok[Status](), s.status),
		get("/v1/feeds", ScopeRead, "All feeds, own and followed", ok[feedsAnswer](), s.feeds),
		get("/v1/feed", ScopeRead, "One feed by any form of its name", ok[FeedInfo](), s.findFeed,
			param{"name", "an origin, pub/feed, or an own feed's short name; default the first own feed"}),
		{method: http.MethodPost, path: "/v1/feeds", scope: ScopeAdmin, summary: "Make another own feed", cap: maxSmall,
			takes: []content{jsonOf[CreateFeed]()}, gives: []outcome{{http.StatusCreated, jsonOf[FeedInfo]()}}, handle: s.createFeed},
		get(oneFeed, ScopeRead, "One feed", ok[FeedInfo](), s.feed),
		get(oneFeed+"/log", ScopeRead, "The records of a log, a line each; the last line is {\"end\":true}",
			[]outcome{{http.StatusOK, content{mediaType: ndjsonType, of: reflect.TypeFor[Record]()}}}, s.readLog,
			param{"from", "the first index, default 0"}, param{"n", "how many at most, default all"}),
		get(oneFeed+"/mirror", ScopeRead, "The feed as plain files, hashes included", bytesOf("application/x-tar", "what feed mirror writes"), s.mirror),
		get(oneRecord, ScopeRead, "One record", ok[Record](), s.record),
		get(oneRecord+"/proof", ScopeRead, "That the record is listed, for anybody to check", bytesOf(textType, "a C2SP tlog-proof"), s.proof,
			param{"body", "false leaves out the hashes; default true"}),

		get("/v1/tokens", ScopeAdmin, "The API tokens, by name", ok[tokensAnswer](), s.tokens),
		{method: http.MethodPost, path: "/v1/tokens", scope: ScopeAdmin, summary: "Make an API token; it is shown once", cap: maxSmall,
			takes: []content{jsonOf[CreateToken]()}, gives: []outcome{{http.StatusCreated, jsonOf[NewToken]()}}, handle: s.createToken},
		{method: http.MethodDelete, path: "/v1/tokens/{name}", scope: ScopeAdmin, summary: "Revoke an API token at once",
			gives: []outcome{{http.StatusNoContent, content{}}}, handle: s.revokeToken},

		get(readPath+"/checkpoint", ScopeRead, "The newest checkpoint (C2SP tlog-tiles)", bytesOf(textType, "a signed note"), s.part),
		get(readPath+"/tile/{path...}", ScopeRead, "A tile or entry bundle (C2SP tlog-tiles); heads, never hashes", bytesOf(octetType, "the tile"), s.part),

		get("/livez", scopeNone, "That the process answers", bytesOf(textType, "ok"), s.livez),
		get("/readyz", scopeNone, "Whether it answers well; 503 with the reason if not", bytesOf(textType, "ok"), s.readyz),
		get("/metrics", ScopeRead, "Counters, for Prometheus", bytesOf(textType, "the text format of Prometheus"), s.showMetrics),
		get("/openapi.json", scopeAny, "This description", bytesOf(jsonType, "OpenAPI 3.1"), s.openAPI),
	}, slices.Concat(s.federationRoutes(), s.charterRoutes(), s.receiptRoutes(), s.countRoutes(), s.batchRoutes(), s.careRoutes(), s.explainRoutes(), s.policyRoutes(), s.retractionRoutes(),
		s.eventRoutes(), s.selfTestRoutes(), s.listRoutes(), s.knownRoutes(), s.journalRoutes())...)
}
