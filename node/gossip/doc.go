// Package gossip carries feeds between nodes: it pushes new heads and fetches the records they promise.
//
// # Words
//
// A Network is this node among others. A link is a peer that it is connected with; a carrier looks after one feed, own or followed. A head is
// a verified feed.Checkpoint; a claim is what a peer says it has, unsigned. Who may connect is vetted: it stands in the Roll, publishes a
// feed that is followed, or is a member by the roster of a feed that is held. Who may read a feed is looked up for each question, each message
// and each part of an answer, in the roster as it is then.
//
// # How a feed travels
//
//	rumour         a head that was stored is pushed at once to every member that isn't known to have it, after 0 to 20 ms
//	anti-entropy   on connect, and every ten minutes, each side lists what it has; who is behind asks
//	fetch          tiles above the leaves first, which must give the signed root and contain the old tree; then bundles, from
//	               several members at once, each checked by itself, committed as they come
//	witness        what is durable is cosigned for the publisher, which passes on the lines of the witnesses that its charter names
//
// Nothing is believed for who sent it. Whatever is stored is a value that only package feed makes, after it compared every hash with what
// k signers have signed. So a feed may come from any member, and does when its publisher is away.
//
// # On the wire
//
// Streams of libp2p over TCP with TLS 1.3, or QUIC. Besides libp2p's own identify and ping there are
//
//	/hashfeed/heads/1     hello, list, head, suspend, news, peers: one stream each way, on which the one who opened it speaks
//	/hashfeed/head/1      {1: "pub/feed", 2: charter version held} → {1: charters, 2: note, 3: cosignatures, ? 4: roster, 5: suspensions}
//	/hashfeed/tiles/1     {1: origin, 2: size, 3: paths} → for each uint32 length || bytes, or 0xFFFFFFFF
//	/hashfeed/cosign/1    {1: origin, 2: size, 3: line} → the end of the stream: it is stored
//	/hashfeed/report/1    {1: "dispute", 2: [origin, index, leaf], 3: reason} → {1: ticket}
//	                      or {1: "counts", 2: "pub/feed", 3: week, 4: [[verdict, kind, action, count]…], 5: [[outcome, count]…]} → the end of
//	                      the stream: they are stored
//	/hashfeed/evidence/1  {1: "pub/feed", 2: evidence} → the end of the stream
//
// A frame is a uint32, big-endian, of how many bytes follow, and deterministic CBOR: notes are byte strings, names, origins, paths and
// signature lines are text. As an example, this says that there is a charter 2 and a roster 17:
//
//	00 00 00 1f                                  31 bytes
//	a3                                           map of three
//	   18 1f 75 "hotline.example/known"          31: feed
//	   18 20 02                                  32: charter version
//	   18 21 11                                  33: roster version
//
// # What a peer can do to us
//
// It can be late, silent or full of garbage: it is waited for by the clock, bounded in memory before anything is allocated (limits.go), read at
// 50 messages a second, and left for another. A breach of the format ends the stream, the third within ten minutes the connection. What no
// honest peer can have (a false tile, bundle, body, signature or list) ends it at once, and names the peer in the log and in an Alarm.
// Silence, absence and our own full disk are nobody's offence.
//
// Two heads with k signatures that can't both be true are evidence, told to the node and to every member; the feed's heads are not taken in any
// more, its suspensions are.
//
// # Example
//
//	net, err := gossip.New(gossip.Options{Key: key, Name: "host.example", Witness: witness, Store: store,
//		Listen: []string{"/ip4/0.0.0.0/tcp/4480"}, Roll: func() gossip.Roll {
//			return gossip.Roll{Follows: []gossip.Follow{{Feed: "eokm.example/known", Anchor: anchor, Publisher: "12D3Koo…", Addrs: addrs}}}
//		}})
//	// tell it what the store commits: net.Committed(name, batch)
//	err = net.Start(ctx)
//	defer net.Close()
//
// # What it doesn't do
//
// It judges no record and signs no head; it keeps no list of members (the Roll and the rosters do). It hides from nobody on the wire that two
// nodes talk, and how much. It finds no strangers: no DHT, no relay, no NAT traversal, no GossipSub, whose subscriptions would tell every
// neighbour what a node follows.
package gossip
