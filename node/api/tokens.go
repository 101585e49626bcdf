package api

import "net/http"

type tokensAnswer struct {
	Tokens []Token `json:"tokens"`
}

func (s *Server) tokens(w http.ResponseWriter, r *http.Request) error {
	tokens, err := s.verbs.Tokens(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, tokensAnswer{append([]Token{}, tokens...)})
}

func (s *Server) createToken(w http.ResponseWriter, r *http.Request) error {
	var body CreateToken
	if err := readJSON(r, &body); err != nil {
		return err
	}
	if len(body.Scopes) == 0 {
		return errorf(http.StatusUnprocessableEntity, CodeIncomplete, "scopes are missing")
	}
	for _, scope := range body.Scopes {
		if !ValidScope(scope) {
			return malformed("scope %.20q: want match, read, publish, propose or admin", scope)
		}
	}
	if len(body.Name) > maxTokenName {
		return malformed("a token's name has at most %d bytes", maxTokenName)
	}
	t, err := s.verbs.CreateToken(r.Context(), body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, t)
}

func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request) error {
	return noContent(w, s.verbs.RevokeToken(r.Context(), r.PathValue("name")))
}
