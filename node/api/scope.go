package api

import "slices"

// The scopes of tokens.
const (
	ScopeMatch   = "match"   // ask for verdicts
	ScopeRead    = "read"    // read feeds, records, status, metrics
	ScopePublish = "publish" // add to own feeds
	ScopePropose = "propose" // hand in reports
	ScopeAdmin   = "admin"   // all, feeds and tokens too

	scopeNone = ""    // of /livez and /readyz: no token is asked for
	scopeAny  = "any" // any token will do
)

// Scopes returns the names of all scopes.
func Scopes() []string {
	return []string{ScopeMatch, ScopeRead, ScopePublish, ScopePropose, ScopeAdmin}
}

// ValidScope tells whether s names a scope.
func ValidScope(s string) bool { return slices.Contains(Scopes(), s) }

// allows tells whether a token with scopes may do what wants scope. admin includes the others, none of which includes another.
func allows(scopes []string, scope string) bool {
	return scope == scopeNone || scope == scopeAny || slices.Contains(scopes, scope) || slices.Contains(scopes, ScopeAdmin)
}
