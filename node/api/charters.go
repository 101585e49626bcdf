package api

import (
	"context"
	"net/http"
	"net/url"
)

// CharterInfo is the newest charter of a feed: `hashfeed feed charter show --json`.
type CharterInfo struct {
	Feed       string           `json:"feed"` // pub/feed
	Origin     string           `json:"origin"`
	Anchor     string           `json:"anchor"` // what followers pinned: of the first version held
	Version    int              `json:"version"`
	Expires    string           `json:"expires"`
	DaysLeft   int64            `json:"days_left"` // whole days; negative once it has expired
	Text       string           `json:"text"`
	Versions   []CharterVersion `json:"versions"`               // held, oldest first
	RootOnNode bool             `json:"root_on_node,omitempty"` // of an own feed: its root key lies on this node, where it needn't be
}

// CharterVersion is one version of a charter.
type CharterVersion struct {
	Version int    `json:"version"`
	Expires string `json:"expires"`
	Anchor  string `json:"anchor"` // SHA-256 of its text, hex
}

// ProposeCharter asks for the next charter of an own feed, unsigned. What is left out stays as it is.
type ProposeCharter struct {
	Feed     string    `json:"feed,omitempty"` // as Verbs.Feed
	Days     int       `json:"days,omitempty"` // until it expires; default 365
	Contact  string    `json:"contact,omitempty"`
	Answer   string    `json:"answer,omitempty"`   // 2d, 12h
	SoftAge  string    `json:"soft_age,omitempty"` // with hard_age
	HardAge  string    `json:"hard_age,omitempty"`
	Audience []string  `json:"audience,omitempty"` // police, hotlines, hosts; or none alone
	Root     *KeyGroup `json:"root,omitempty"`     // all of them
	Quorum   *KeyGroup `json:"quorum,omitempty"`   // all witnesses; k 0: none
	Close    bool      `json:"close,omitempty"`    // end the current log and begin another with fresh keys
	At       *uint64   `json:"at,omitempty"`       // with close: the size it ends at; default all that was signed
	Signers  *KeyGroup `json:"signers,omitempty"`  // with close: the others' keys, besides the one made here
}

// KeyGroup is K keys of several.
type KeyGroup struct {
	K     int      `json:"k"`
	VKeys []string `json:"vkeys,omitempty"`
}

// ProposedCharter is a charter that wants signatures: `hashfeed feed charter propose --json`.
type ProposedCharter struct {
	Feed    string   `json:"feed"`
	Version int      `json:"version"`
	File    string   `json:"file"`           // what is signed and published
	Changes []string `json:"changes"`        // in words
	Wants   []Quota  `json:"wants"`          // whose signatures
	Past    *PastCut `json:"past,omitempty"` // what lies past the cut
}

// Quota is how many of a group of keys must sign, and which haven't.
type Quota struct {
	Of      string   `json:"of"`
	Need    int      `json:"need"`
	Have    int      `json:"have"`
	Missing []string `json:"missing"` // vkeys
}

// PastCut is what lies past the end of a closed log, and has no effect from then on.
type PastCut struct {
	Records  uint64        `json:"records"`
	Adds     int           `json:"adds"`     // adds and revises: to be published anew, if they were honest
	Retracts []PastRetract `json:"retracts"` // of items that stand before the cut: each holds its item for 7 days
}

// PastRetract is a retraction past a cut.
type PastRetract struct {
	Ref    string `json:"ref"`
	Item   string `json:"item"` // the item's add
	Reason string `json:"reason"`
	Time   string `json:"time"`
}

// PublishCharter asks to publish a signed charter.
type PublishCharter struct {
	File string `json:"file"`
	// Repeat says, where a charter closes a log and something lies past the cut, which retractions among it are repeated in the new log: their
	// refs, or "all" or "none" alone.
	Repeat []string `json:"repeat,omitempty"`
}

// PublishedCharter is what came of it.
type PublishedCharter struct {
	Feed        string   `json:"feed"`
	Origin      string   `json:"origin"` // the current log
	Version     int      `json:"version"`
	Expires     string   `json:"expires"`
	Opened      bool     `json:"opened,omitempty"`      // a new log was opened
	Suspensions int      `json:"suspensions,omitempty"` // in force, repeated with the new signers
	Past        *PastCut `json:"past,omitempty"`
	Retracted   []string `json:"retracted,omitempty"` // refs of the repeated retractions
}

func (s *Server) charterRoutes() []route {
	admin := func(path, summary string, takes content, gives []outcome, handle func(http.ResponseWriter, *http.Request) error) route {
		return route{method: http.MethodPost, path: path, scope: ScopeAdmin, summary: summary, cap: maxSmall, takes: []content{takes}, gives: gives, handle: handle}
	}
	return []route{
		{method: http.MethodGet, path: "/v1/charter", scope: ScopeRead, summary: "The newest charter of a feed", gives: ok[CharterInfo](), handle: s.charter,
			params: []param{{"name", "an origin, pub/feed, or an own feed's short name; default the first own feed"}}},
		admin("/v1/charter/propose", "Write the next charter of an own feed, to be signed elsewhere", jsonOf[ProposeCharter](), ok[ProposedCharter](), s.proposeCharter),
		admin("/v1/charter/publish", "Publish a signed charter", jsonOf[PublishCharter](), ok[PublishedCharter](), s.publishCharter),
	}
}

func (s *Server) charter(w http.ResponseWriter, r *http.Request) error {
	get, err := query(r, "name")
	if err != nil {
		return err
	}
	c, err := s.verbs.Charter(r.Context(), get("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, c)
}

func (s *Server) proposeCharter(w http.ResponseWriter, r *http.Request) error {
	var body ProposeCharter
	if err := readJSON(r, &body); err != nil {
		return err
	}
	p, err := s.verbs.ProposeCharter(r.Context(), body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, p)
}

func (s *Server) publishCharter(w http.ResponseWriter, r *http.Request) error {
	var body PublishCharter
	if err := readJSON(r, &body); err != nil {
		return err
	}
	p, err := s.verbs.PublishCharter(r.Context(), body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, p)
}

func (c *Client) Charter(ctx context.Context, name string) (i CharterInfo, err error) {
	return i, c.ask(ctx, http.MethodGet, "/v1/charter?name="+url.QueryEscape(name), nil, &i)
}

func (c *Client) ProposeCharter(ctx context.Context, r ProposeCharter) (p ProposedCharter, err error) {
	return p, c.ask(ctx, http.MethodPost, "/v1/charter/propose", r, &p)
}

func (c *Client) PublishCharter(ctx context.Context, r PublishCharter) (p PublishedCharter, err error) {
	return p, c.ask(ctx, http.MethodPost, "/v1/charter/publish", r, &p)
}
