package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"runtime"

	"github.com/urfave/cli/v2"

	"hashfeed/node/digest"
)

func hashCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "hash", Usage: "compute the hashes of files: MD5, SHA-1, SHA-256 and, of images, PDQ", ArgsUsage: "FILE…",
		Description: "Prints a JSON object a line. PDQ is absent, and \"note\" says why, where a file isn't an image that can be\n" +
			"decoded. Needs no node. - is standard input.",
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, -1); err != nil {
				return err
			}
			if err := wantOneStdin(c); err != nil {
				return err
			}
			failed := false
			named := func(yield func(string, error) bool) {
				for _, path := range c.Args().Slice() {
					if !yield(path, nil) {
						return
					}
				}
			}
			err := eachFile(c.Context, runtime.GOMAXPROCS(0), named, e.digest, func(path string, sum digest.Sum, err error) error {
				if err != nil {
					fmt.Fprintf(e.stderr, "hashfeed: %v\n", err)
					failed = true
					return nil
				}
				return e.printJSON(hashLineOf(path, sum))
			})
			if err != nil {
				return err
			}
			if failed {
				return codeError(exitError)
			}
			return nil
		},
	}
}

// hashLine is what hash prints of a file, all hashes as bare hex.
type hashLine struct {
	File        string `json:"file"`
	MD5         string `json:"md5"`
	SHA1        string `json:"sha1"`
	SHA256      string `json:"sha256"`
	PDQ         string `json:"pdq,omitempty"`
	Quality     *int   `json:"quality,omitempty"`
	PDQFull     string `json:"pdq_full,omitempty"`
	QualityFull *int   `json:"quality_full,omitempty"`
	Note        string `json:"note,omitempty"`
}

func hashLineOf(path string, s digest.Sum) hashLine {
	l := hashLine{File: path, MD5: hex.EncodeToString(s.MD5[:]), SHA1: hex.EncodeToString(s.SHA1[:]),
		SHA256: hex.EncodeToString(s.SHA256[:]), Note: s.Note}
	if s.PDQ != nil {
		l.PDQ, l.Quality = s.PDQ.Hash.String(), &s.PDQ.Quality
	}
	if s.PDQFull != nil {
		l.PDQFull, l.QualityFull = s.PDQFull.Hash.String(), &s.PDQFull.Quality
	}
	return l
}

// wantOneStdin refuses to read standard input twice: nobody could say who gets what of it.
func wantOneStdin(c *cli.Context) error {
	seen := false
	for _, path := range c.Args().Slice() {
		if path == "-" && seen {
			return usagef("%s: standard input is named twice", c.Command.HelpName)
		}
		seen = seen || path == "-"
	}
	return nil
}

// digest hashes a file, or standard input for the path "-".
func (e *env) digest(ctx context.Context, path string) (digest.Sum, error) {
	if path != "-" {
		return digest.File(ctx, path, digest.Limits{})
	}
	// No cap on the length: it is the user's own stream.
	sum, err := digest.Read(ctx, e.stdin, digest.Limits{HashBytes: math.MaxInt64})
	if err != nil {
		return sum, fmt.Errorf("hash standard input: %w", err)
	}
	return sum, nil
}
