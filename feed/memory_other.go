//go:build !linux

package feed

// inHugePages has nothing to offer here, nor has populate.
func inHugePages[T any](list []T) []T { return list }

func populate[T any]([]T) {}
