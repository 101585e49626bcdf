package hashlist

const (
	// maxRow bounds a row in bytes, all its lines and quotes included: the 32 hashes that a record may have are 10 KB at most.
	maxRow = 64 << 10
	// maxHashes bounds the hashes of a row: a record holds no more (WIRE §2).
	maxHashes = 32
	// maxID bounds a source's own id of an item, in bytes; a URI of theirs may be one.
	maxID = 128
	// maxCategory bounds a source's code of what an item is, in bytes.
	maxCategory = 64
	// maxColumns bounds the columns of a header: each known one may stand there once, and a spreadsheet adds empty ones.
	maxColumns = 256
	// maxCodes bounds the codes of a mapping: no scheme in use has a hundred.
	maxCodes = 1000
	// maxShown is how many bytes of a stranger's word an error repeats.
	maxShown = 40
)
