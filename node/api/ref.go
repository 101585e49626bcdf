package api

import "context"

type refKey struct{}

// WithRef returns a context under which a file's hashes are asked with the caller's own reference, opaque, which the journal keeps.
func WithRef(ctx context.Context, ref string) context.Context {
	if ref == "" {
		return ctx
	}
	return context.WithValue(ctx, refKey{}, ref)
}

// RefOf is the reference of a context from WithRef; "" if it has none.
func RefOf(ctx context.Context) string {
	ref, _ := ctx.Value(refKey{}).(string)
	return ref
}
