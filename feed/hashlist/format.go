package hashlist

import (
	"io"
	"strings"
)

// Format is a kind of list. Read or Write is nil where we only do the other.
type Format struct {
	Name    string // what --format takes
	About   string
	Columns []Column
	Read    func(io.Reader) (Reader, error) // an error is about the beginning of the list, such as its header
	Write   func(io.Writer) Writer
}

// Column is a column of a table, or a key of an object.
type Column struct{ Name, About string }

// Reader reads rows. Read returns io.EOF after the last, and a *RowError for one that is wrong.
type Reader interface{ Read() (Row, error) }

// Writer writes rows. What is written is whole after Close, which doesn't close what lies beneath.
type Writer interface {
	Write(Row) error
	Close() error
}

// Formats are all kinds of lists, by name in the order in which they are told.
var Formats = []Format{
	{Name: "csv", About: "a table as spreadsheets write it", Columns: columns, Read: newCSVReader, Write: newCSVWriter},
	{Name: "jsonl", About: "a JSON object a line", Columns: jsonColumns(), Read: newJSONReader, Write: newJSONWriter},
}

// Find returns the format of a name.
func Find(name string) (Format, bool) {
	for _, f := range Formats {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}

// Names are the names of the formats that can be read, or written.
func Names(read bool) string {
	var names []string
	for _, f := range Formats {
		if read && f.Read != nil || !read && f.Write != nil {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, ", ")
}

// hashColumns are the columns of csv that hold hashes.
var hashColumns = []Column{
	{"md5", "32 hex digits"},
	{"sha1", "40 hex digits"},
	{"sha256", "64 hex digits"},
	{"pdq", "HEX:QUALITY, 64 hex digits and 50 to 100; several are put apart by spaces"},
	{"pdq_full", "as pdq, computed on the whole picture"},
	{"photodna", "288 hex digits, or base64; several are put apart by spaces"},
	{"vpdq", "frames of a video: MILLISECONDS:HEX:QUALITY, put together with +"},
}

// factColumns are the columns besides the hashes.
var factColumns = []Column{
	{"id", "the source's own id of the item, at most 128 characters; never published. With it a row may change its hashes"},
	{"verdict", "baseline, national, doubtful or test; empty: what --verdict says"},
	{"media", "image or video; empty: what --media says"},
	{"harm", "csam, ncii or tvec; if given, it must be the feed's"},
	{"category", "what the item is, as a code of the source: --map says what it means"},
	{"severity", "1 to 4, 1 the gravest"},
	{"age_band", "undetermined, infant, prepubescent, pubescent or adult"},
	{"virtual", "yes if it is drawn or generated"},
	{"size", "of the file, in bytes"},
	{"verified_by", "how many people or bodies assessed it independently; empty: what --verified-by says"},
	{"not_before", "no effect until then, such as 2026-11-23T08:00:00Z"},
	{"state", "active (or empty), retracted, pending or held; pending and held rows are passed over"},
	{"reason", "of a retracted row: false-positive, legal-order, duplicate, publisher-error, reclassified or withdrawn-by-subject"},
	{"source", "written by export, SCHEME:CODE; not read"},
	{"listed", "written by export, when; not read"},
}

// columns are those of csv, in the order in which they are written.
var columns = append(append(append([]Column{}, factColumns[0]), hashColumns...), factColumns[1:]...)

// jsonColumns are the keys of jsonl.
func jsonColumns() []Column {
	return append([]Column{factColumns[0], {"hashes", `["md5:HEX","pdq:HEX:QUALITY",…]`}}, factColumns[1:]...)
}

func known(list []Column, name string) bool {
	for _, c := range list {
		if c.Name == name {
			return true
		}
	}
	return false
}

func namesOf(list []Column) string {
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}
