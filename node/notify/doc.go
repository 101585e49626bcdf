// Package notify tells others what a node has to tell: it keeps messages for each target in a queue on disk, and delivers them in order.
//
// A target is a web hook or a command. A message is an event as a line of JSON, which this package doesn't read; it has an id, by which a
// receiver knows a second delivery of the same message: after a crash, or where an answer was lost, a message comes again.
//
//	Offer ─► writer ─► queue (a file a target, synced) ─► deliverer ─► web hook, or command's standard input
//
// Offer never waits: whoever decides about an upload must not wait for a receiver. What can't be kept, because a queue is full, is counted and
// told (State); of a queue's room the last tenth is for urgent messages. A message goes out when all before it went out or were given up: after
// three days, or after ten answers that say that this very message is no good.
//
// # Web hook
//
// A POST of the JSON, signed as Standard Webhooks has it:
//
//	POST /hashfeed HTTP/1.1
//	Content-Type: application/json
//	webhook-id: 01JDQ4V0G3X8Z0R6S9M1K2T7BC
//	webhook-timestamp: 1732867200
//	webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=
//
// The signature is base64 of HMAC-SHA256 over "ID.TIMESTAMP.BODY", the timestamp that of this attempt; while a secret is being replaced there
// are two, with a space between. Any status of 200 to 299 is delivery. A redirect isn't followed: who can change where a node's messages go must
// be the one who writes its config. The URL is https, or plain http to this machine.
//
// # Command
//
// The JSON and a line's end on standard input, then its end. No shell is between: the words of the config are the words that the program gets.
// Exit code 0 is delivery.
//
// # Queue
//
// DIR/NAME.queue has a line for each message, and one for each that is done with:
//
//	9ae0daaf + {"id":"01JD…","kind":"block","time":"2026-11-29T02:00:00Z","body":{…}}
//	1c291ca3 - 01JD…
//
// each begun by the CRC-32C of the rest, so that a damaged line is told from a message. A line that is damaged is left out and counted; one cut
// off by a crash was never acknowledged to anybody.
package notify
