// Package policy turns matches into a verdict: which feeds we trust, for what, and what we do about it.
//
// A question is one hash, or the hashes of one file ([Question]). Package match finds the records that it matches; whoever
// knows the feeds adds what is known of each record ([Candidate]), and [Judge] answers ([Verdict]). Judge is pure: it reads no clock, no
// file and no network, and what it is not told it does not assume.
//
// # The rules
//
// The operator has a [Rule] for each feed. A match is of one of three strengths, and the rule has an action for each:
//
//	strong  sha256 or photodna are equal, or pdq at distance 0    action
//	near    a neighbour by pdq or photodna                        action_near
//	weak    md5 or sha1 alone, which can be forged                action_weak
//
// An md5 or sha1 is not alone if the same item is matched by sha256 too. The action is [Log], [Review] or [Block]; block
// means "don't accept this upload" and nothing more.
//
// Then everything that speaks against a match lowers its action, whatever the rule says:
//
//   - The rule doesn't trust the feed for this record's verdict: at most log. Test records need no trust.
//   - Suspended, disputed or held ([Hold]), known-good, or the charter says "use review": at most review. A filter that is wrong now and then
//     ([Policy.KnownBytes]) makes known-good only what is matched by its bytes.
//   - The feed's newest stamp is older than its charter's hard maxage, so a retraction may have passed us by: at most review,
//     except exact baseline matches where the rule says on_stale = "keep". One's own feed can't retract behind one's back.
//   - Fewer publishers than [Policy.MinPublishers] say the same: at most review.
//
// Nothing raises an action, so one more doubt never makes an answer harsher. The outcome is the strongest action left, or allow.
//
// # An example
//
//	p := policy.Policy{Rules: map[feed.Name]policy.Rule{"eokm.example/known": {
//		Verdicts: []feed.Verdict{feed.Baseline},
//		Action: policy.Block, ActionNear: policy.Review, ActionWeak: policy.Log,
//		MaxDistance: 31, OnStale: policy.Keep,
//	}}}
//	v := policy.Judge(policy.Question{Hashes: hashes}, candidates, p, heads, time.Now())
//	if v.Verdict == policy.OutcomeBlock { … }
//
// # What it doesn't do
//
// It says nothing of a person, and "no match" never means clean: kinds that some feed lists and that were not looked up stand in
// [Verdict.Unchecked].
package policy
