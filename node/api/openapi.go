package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// pathParam is a variable of a route's path.
var pathParam = regexp.MustCompile(`\{([a-z]+)(\.\.\.)?\}`)

// describe writes /openapi.json, OpenAPI 3.1, from the table of routes. Huma makes the schemas from the Go types and knows the document's form;
// its router isn't used, so that every route, streams too, goes through the same guards.
func describe(routes []route, version string) []byte {
	schemas := huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		name := huma.DefaultSchemaNamer(t, hint)
		return strings.ToUpper(name[:1]) + name[1:]
	})
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "hashfeed", Version: orDefault(version, "0"),
			Description: "A node of a federation that shares fingerprints of verified abuse material. Nothing that is asked leaves the machine."},
		Components: &huma.Components{Schemas: schemas, SecuritySchemes: map[string]*huma.SecurityScheme{
			"token": {Type: "http", Scheme: "bearer", Description: "hashfeed token create makes one. On the unix socket none is asked for."},
		}},
	}
	body := func(c content) *huma.MediaType {
		if c.of != nil {
			return &huma.MediaType{Schema: schemas.Schema(c.of, true, "Empty")}
		}
		s := &huma.Schema{Type: huma.TypeString, Description: c.about}
		if !strings.HasPrefix(c.mediaType, "text/") {
			s.Format = "binary"
		}
		return &huma.MediaType{Schema: s}
	}
	problem := map[string]*huma.MediaType{problemType: body(jsonOf[Problem]())}
	for _, t := range routes {
		op := &huma.Operation{
			Method: t.method, Path: pathParam.ReplaceAllString(t.path, "{$1}"), Summary: t.summary,
			OperationID: operationID(t), Responses: map[string]*huma.Response{},
		}
		if t.scope != scopeNone {
			// OpenAPI has scopes for OAuth only; since 3.1 the roles of other schemes may stand there too.
			op.Security = []map[string][]string{{"token": {t.scope}}}
		}
		for _, m := range pathParam.FindAllStringSubmatch(t.path, -1) {
			op.Parameters = append(op.Parameters, &huma.Param{Name: m[1], In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}})
		}
		for _, p := range t.params {
			op.Parameters = append(op.Parameters, &huma.Param{Name: p.name, In: "query", Description: p.about, Schema: &huma.Schema{Type: huma.TypeString}})
		}
		if len(t.takes) > 0 {
			op.RequestBody = &huma.RequestBody{Required: !t.bodyOptional, Content: map[string]*huma.MediaType{}}
			for _, c := range t.takes {
				op.RequestBody.Content[c.mediaType] = body(c)
			}
		}
		for _, g := range t.gives {
			key := strconv.Itoa(g.status)
			if op.Responses[key] == nil {
				op.Responses[key] = &huma.Response{Description: http.StatusText(g.status)}
			}
			if g.mediaType != "" {
				if op.Responses[key].Content == nil {
					op.Responses[key].Content = map[string]*huma.MediaType{}
				}
				op.Responses[key].Content[g.mediaType] = body(g.content)
			}
		}
		op.Responses["default"] = &huma.Response{Description: "A problem (RFC 9457)", Content: problem}
		doc.AddOperation(op)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic("describe the API: " + err.Error()) // only a type of the table that has no JSON can do this
	}
	return text
}

// operationID names a call for generated clients: post-v1-match.
func operationID(t route) string {
	id := strings.Trim(pathParam.ReplaceAllString(t.path, "$1"), "/")
	return strings.ToLower(t.method) + "-" + strings.NewReplacer("/", "-", ".", "-").Replace(id)
}
