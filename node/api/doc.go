// Package api serves a node over HTTP, and is the client for it.
//
// [Verbs] is what a node can be asked to do. A [Server] lets others ask it: over TCP with a bearer token that has a scope, and over a
// unix socket in the node's directory, where the file's permission is the credential. A [Client] is the same Verbs
// over that socket, so whoever asks need not know whether a daemon runs. An [Error] is the same on both sides.
//
//	scope    may
//	match    ask for verdicts
//	read     read feeds, records, status, metrics
//	publish  list, revise, retract, dispute, endorse, suspend, resolve
//	propose  hand in reports that a person then decides on
//	admin    all of it, feeds and tokens too
//
// # The hot path
//
// POST /v1/match takes three forms. JSON answers with whole verdicts; the other two are for bulk, and answer in place:
//
//	$ curl -H "Authorization: Bearer $T" --json '{"hashes":["md5:…","pdq:…"]}' http://127.0.0.1:8480/v1/match
//	{"results":[{"query":"md5:…","verdict":"allow",…},…]}
//	$ printf 'md5:…\nzzz\n' | curl -H "Authorization: Bearer $T" -H 'Content-Type: text/plain' --data-binary @- http://127.0.0.1:8480/v1/match
//	allow
//	error
//	$ curl … -H 'Content-Type: application/octet-stream' --data-binary @digests 'http://127.0.0.1:8480/v1/match?alg=sha256' | xxd
//	00000000: 0003 …
//
// The text form is answered while it is sent, so whoever sends more than some hundred thousand lines must read meanwhile.
//
// Over TCP the plainest of these questions are answered by a lane in front of net/http, see [Server.Listen]; the answers are the same.
//
// # Errors
//
// Errors are problem details (RFC 9457, application/problem+json): status and title as HTTP has them, detail in words, and code, one of the
// constants Code…, for programs. A duplicate (409) has "duplicate", a malformed hash (400, code bad-hash) its "index".
//
// # What it doesn't do
//
// It decides nothing about hashes or feeds, keeps no state but counters, and speaks no TLS: a proxy does. It serves
// bodies of records to nobody who isn't asking with the scope read, and never by the C2SP paths.
package api
