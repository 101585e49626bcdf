package api

import "net/http"

// Member is who may read an own feed. Only the peer id and the expiry stand in the roster that others see, and of a hidden
// member nothing.
type Member struct {
	Feed      string `json:"feed"` // pub/feed
	PeerID    string `json:"peer_id"`
	Name      string `json:"name"`
	As        string `json:"as"`      // police, hotline or host
	Expires   string `json:"expires"` // RFC 3339
	Contact   string `json:"contact,omitempty"`
	Agreement string `json:"agreement,omitempty"` // SHA-256 of the signed agreement, hex
	Hidden    bool   `json:"hidden,omitempty"`
}

// AddMember asks to let a peer read an own feed.
type AddMember struct {
	Feed      string `json:"feed,omitempty"` // as Verbs.Feed; default the first own feed
	PeerID    string `json:"peer_id"`
	Name      string `json:"name"`
	As        string `json:"as,omitempty"`   // default host
	Days      int    `json:"days,omitempty"` // of membership; default 365
	Contact   string `json:"contact,omitempty"`
	Agreement string `json:"agreement,omitempty"`
	Hidden    bool   `json:"hidden,omitempty"`
}

// Follow asks to follow a feed.
type Follow struct {
	Invite   string   `json:"invite"`
	Harm     string   `json:"harm,omitempty"`     // the charter must say the same
	Verdicts []string `json:"verdicts,omitempty"` // trusted for these; default baseline
	Action   string   `json:"action,omitempty"`   // default log, and so the next two
	Near     string   `json:"near,omitempty"`
	Weak     string   `json:"weak,omitempty"`
	Replace  bool     `json:"replace,omitempty"` // pin this anchor instead of the one held
}

// Followed is what came of it.
type Followed struct {
	Feed      string   `json:"feed"`
	Publisher string   `json:"publisher"`
	Anchor    string   `json:"anchor"`
	Digits    string   `json:"digits"` // to compare by telephone
	State     string   `json:"state"`  // waiting until the charter is here
	StateText string   `json:"state_text,omitempty"`
	Harm      string   `json:"harm,omitempty"` // from here on: of the charter
	Contact   string   `json:"contact,omitempty"`
	Audience  []string `json:"audience,omitempty"`
}

// AddPeer asks to let a peer connect, and to dial it.
type AddPeer struct {
	PeerID  string `json:"peer_id"`
	Name    string `json:"name,omitempty"`
	Address string `json:"address"` // a multiaddr
}

type membersAnswer struct {
	Members []Member `json:"members"`
}

// federationRoutes are the calls about other nodes. What a node follows decides what it blocks, so it takes an admin.
func (s *Server) federationRoutes() []route {
	post := func(path, summary string, takes content, gives []outcome, handle func(http.ResponseWriter, *http.Request) error) route {
		return route{method: http.MethodPost, path: path, scope: ScopeAdmin, summary: summary, cap: maxSmall, takes: []content{takes}, gives: gives, handle: handle}
	}
	remove := func(path, summary string, handle func(http.ResponseWriter, *http.Request) error) route {
		return route{method: http.MethodDelete, path: path, scope: ScopeAdmin, summary: summary,
			gives: []outcome{{http.StatusNoContent, content{}}}, handle: handle}
	}
	return []route{
		{method: http.MethodGet, path: "/v1/peers", scope: ScopeRead, summary: "The vetted peers, and their connections", gives: ok[peersAnswer](), handle: s.peers},
		post("/v1/peers", "Let a peer connect, and dial it", jsonOf[AddPeer](), []outcome{{http.StatusNoContent, content{}}}, s.addPeer),
		remove("/v1/peers/{peer}", "Undo that", s.removePeer),
		{method: http.MethodGet, path: "/v1/members", scope: ScopeAdmin, summary: "Who may read the own feeds", gives: ok[membersAnswer](), handle: s.members},
		post("/v1/members", "Let a node read an own feed", jsonOf[AddMember](), []outcome{{http.StatusCreated, jsonOf[Member]()}}, s.addMember),
		func() route {
			r := remove("/v1/members/{peer}", "End a membership", s.removeMember)
			r.params = []param{{"feed", "the own feed; default all"}}
			return r
		}(),
		post("/v1/follow", "Follow a feed", jsonOf[Follow](), ok[Followed](), s.follow),
		remove("/v1/follow/{pub}/{feed}", "Let go of a feed", s.unfollow),
	}
}

func (s *Server) peers(w http.ResponseWriter, r *http.Request) error {
	peers, err := s.verbs.Peers(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, peersAnswer{append([]Peer{}, peers...)})
}

func (s *Server) addPeer(w http.ResponseWriter, r *http.Request) error {
	var body AddPeer
	if err := readJSON(r, &body); err != nil {
		return err
	}
	return noContent(w, s.verbs.AddPeer(r.Context(), body))
}

func (s *Server) removePeer(w http.ResponseWriter, r *http.Request) error {
	return noContent(w, s.verbs.RemovePeer(r.Context(), r.PathValue("peer")))
}

func (s *Server) members(w http.ResponseWriter, r *http.Request) error {
	members, err := s.verbs.Members(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, membersAnswer{append([]Member{}, members...)})
}

func (s *Server) addMember(w http.ResponseWriter, r *http.Request) error {
	var body AddMember
	if err := readJSON(r, &body); err != nil {
		return err
	}
	m, err := s.verbs.AddMember(r.Context(), body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, m)
}

func (s *Server) removeMember(w http.ResponseWriter, r *http.Request) error {
	get, err := query(r, "feed")
	if err != nil {
		return err
	}
	return noContent(w, s.verbs.RemoveMember(r.Context(), get("feed"), r.PathValue("peer")))
}

func (s *Server) follow(w http.ResponseWriter, r *http.Request) error {
	var body Follow
	if err := readJSON(r, &body); err != nil {
		return err
	}
	f, err := s.verbs.Follow(r.Context(), body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, f)
}

func (s *Server) unfollow(w http.ResponseWriter, r *http.Request) error {
	return noContent(w, s.verbs.Unfollow(r.Context(), r.PathValue("pub")+"/"+r.PathValue("feed")))
}

// noContent answers what has no answer but that it was done.
func noContent(w http.ResponseWriter, err error) error {
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
