package api

import (
	"net/http"

	"hashfeed/feed"
)

// publishBody is the body of POST /v1/records: one item in its top level, or several in items.
type publishBody struct {
	Feed  string `json:"feed,omitempty"`  // origin, pub/feed or an own feed's short name; default the first own feed
	Harm  string `json:"harm,omitempty"`  // if given, must be the feed's
	Again bool   `json:"again,omitempty"` // list duplicates nevertheless
	Items []Item `json:"items,omitempty"` // instead of the keys below; answered in order by results
	Item
}

type publishAnswer struct {
	Results []Published `json:"results"`
}

// publish answers POST /v1/records.
func (s *Server) publish(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	var body publishBody
	if err := readJSON(r, &body); err != nil {
		return err
	}
	request := Publish{Feed: body.Feed, Harm: body.Harm, Again: body.Again, Items: body.Items}
	single := body.Items == nil
	switch {
	case single:
		request.Items = []Item{body.Item}
	case !body.Item.empty():
		return malformed("the body has items, and an item beside them")
	case len(body.Items) > MaxItems:
		return errorf(http.StatusRequestEntityTooLarge, CodeTooLarge, "more than %d items", MaxItems)
	}
	results, err := s.verbs.Publish(r.Context(), request)
	if err != nil {
		return err
	}
	if !single {
		if results == nil {
			results = []Published{}
		}
		return writeJSON(w, http.StatusOK, publishAnswer{results})
	}
	if len(results) != 1 {
		return errorf(http.StatusInternalServerError, CodeInternal, "publish: %d answers to one item", len(results))
	}
	return writePublished(w, results[0])
}

func (i Item) empty() bool {
	return i.Hashes == nil && i.Verdict == "" && i.Media == "" && i.VerifiedBy == 0 && i.Severity == 0 && i.AgeBand == "" && !i.Virtual &&
		i.Size == 0 && i.NotBefore == "" && i.Source == "" && i.OverrideKnownGood == ""
}

// writePublished answers with what came of one item: 201 if it is listed, 202 if it awaits approval, a problem if it isn't.
func writePublished(w http.ResponseWriter, p Published) error {
	switch {
	case p.Duplicate != "":
		return &Error{Status: http.StatusConflict, Code: CodeDuplicate, Text: "an active item of this feed has an equal exact hash",
			Duplicate: p.Duplicate, Hint: `"again": true lists it nevertheless`}
	case p.Refused != "":
		return &Error{Status: http.StatusUnprocessableEntity, Code: CodeRefused, Text: p.Refused}
	case p.Batch != "":
		return writeJSON(w, http.StatusAccepted, p)
	}
	return writeJSON(w, http.StatusCreated, p)
}

// reasonBody is the body of retract and dispute.
type reasonBody struct {
	Reason string `json:"reason"` // by name (WIRE §2): false-positive, legal-order, …
}

func (b reasonBody) parse() (feed.Reason, error) {
	if b.Reason == "" {
		return 0, errorf(http.StatusUnprocessableEntity, CodeIncomplete, "a reason is missing")
	}
	reason, err := feed.ParseReason(b.Reason)
	if err != nil {
		return 0, malformed("%v", err)
	}
	return reason, nil
}

// suspendBody is the optional body of suspend.
type suspendBody struct {
	Refs []string `json:"refs,omitempty"` // more records of the same feed, in the same note
}

// onRecord returns the handler of a statement about the record that the path names: it reads the body into a B and does what it asks for.
func onRecord[B any](do func(s *Server, r *http.Request, ref feed.Ref, body B) (Published, error)) func(*Server, http.ResponseWriter, *http.Request) error {
	return func(s *Server, w http.ResponseWriter, r *http.Request) error {
		if _, err := query(r); err != nil {
			return err
		}
		ref, err := pathRef(r)
		if err != nil {
			return err
		}
		var body B
		if err := readJSON(r, &body); err != nil {
			return err
		}
		p, err := do(s, r, ref, body)
		if err != nil {
			return err
		}
		return writePublished(w, p)
	}
}

var (
	retract = onRecord(func(s *Server, r *http.Request, ref feed.Ref, b reasonBody) (Published, error) {
		reason, err := b.parse()
		if err != nil {
			return Published{}, err
		}
		return s.verbs.Retract(r.Context(), ref, reason)
	})
	dispute = onRecord(func(s *Server, r *http.Request, ref feed.Ref, b reasonBody) (Published, error) {
		reason, err := b.parse()
		if err != nil {
			return Published{}, err
		}
		return s.verbs.Dispute(r.Context(), ref, reason)
	})
	revise = onRecord(func(s *Server, r *http.Request, ref feed.Ref, b Revision) (Published, error) {
		return s.verbs.Revise(r.Context(), ref, b)
	})
	endorse = onRecord(func(s *Server, r *http.Request, ref feed.Ref, _ struct{}) (Published, error) {
		return s.verbs.Endorse(r.Context(), ref)
	})
	resolve = onRecord(func(s *Server, r *http.Request, ref feed.Ref, b Resolution) (Published, error) {
		if b.Uphold == b.Retract {
			return Published{}, errorf(http.StatusUnprocessableEntity, CodeIncomplete, "either uphold or retract must be true")
		}
		return s.verbs.Resolve(r.Context(), ref, b)
	})
	suspend = onRecord(func(s *Server, r *http.Request, ref feed.Ref, b suspendBody) (Published, error) {
		if len(b.Refs) >= MaxSuspended {
			return Published{}, errorf(http.StatusRequestEntityTooLarge, CodeTooLarge, "more than %d records", MaxSuspended)
		}
		refs := []feed.Ref{ref}
		for _, text := range b.Refs {
			more, err := feed.ParseRef(text)
			if err != nil {
				return Published{}, malformed("%v", err)
			}
			refs = append(refs, more)
		}
		return s.verbs.Suspend(r.Context(), refs)
	})
)

// pathOrigin reads {pub}/{feed}/{log} of the path.
func pathOrigin(r *http.Request) (feed.Origin, error) {
	o, err := feed.ParseOrigin(r.PathValue("pub") + "/" + r.PathValue("feed") + "/" + r.PathValue("log"))
	if err != nil {
		return "", malformed("%v", err)
	}
	return o, nil
}

// pathRef reads {pub}/{feed}/{log}/{index} of the path.
func pathRef(r *http.Request) (feed.Ref, error) {
	ref, err := feed.ParseRef(r.PathValue("pub") + "/" + r.PathValue("feed") + "/" + r.PathValue("log") + "#" + r.PathValue("index"))
	if err != nil {
		return feed.Ref{}, malformed("%v", err)
	}
	return ref, nil
}
