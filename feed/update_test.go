package feed

import "flag"

// update makes the tests write the files of testdata that they otherwise compare with.
var update = flag.Bool("update", false, "write testdata anew: vectors, fuzz corpora, golden files")
