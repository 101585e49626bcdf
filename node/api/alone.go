package api

import (
	"context"
	"net/http"
)

// aloneHeader carries over the socket that a publisher wants to sign though no member's head was heard.
const aloneHeader = "Hashfeed-Alone"

type aloneKey struct{}

// WithAlone returns a context under which what is published is signed though no member's head was heard since the start.
func WithAlone(ctx context.Context) context.Context { return context.WithValue(ctx, aloneKey{}, true) }

// Alone says whether ctx comes from WithAlone, here or at the other end of the socket.
func Alone(ctx context.Context) bool { return ctx.Value(aloneKey{}) != nil }

// hearAlone takes the wish over from a request.
func hearAlone(r *http.Request) *http.Request {
	if r.Header.Get(aloneHeader) == "" {
		return r
	}
	return r.WithContext(WithAlone(r.Context()))
}
