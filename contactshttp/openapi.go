package contactshttp

import (
	"bytes"
	_ "embed"
	"encoding/json"
)

// openAPI describes the API under the default prefix, without keys in queries.
// openapi_test.go compares it with the handler, both ways.
//
//go:embed openapi.json
var openAPI []byte

// OpenAPI returns the description of the API: a JSON document of OpenAPI 3.1, for
// tools that generate clients or pages. Its paths are those of a handler with that
// Options.Prefix. Its limits are those of a service without options. The caller
// may change the document. A handler serves its own, with what its other options
// add: the key in the query, for example.
func OpenAPI(prefix string) []byte {
	if prefix == "" {
		prefix = defaultPrefix
	}
	return describe(prefix, false)
}

// describe returns the description for a prefix as the client sees it.
func describe(prefix string, keyInQuery bool) []byte {
	quoted, err := json.Marshal(cleanPrefix(prefix) + "/")
	if err != nil { // every string can be marshalled
		return nil
	}
	text := bytes.ReplaceAll(openAPI, []byte(`"`+defaultPrefix+`/`), bytes.TrimSuffix(quoted, []byte(`"`)))
	if keyInQuery {
		text = bytes.Replace(text, []byte(`{ "header": [] }`), []byte(`{ "header": [] }, { "query": [] }`), 1)
		text = bytes.Replace(text, []byte(`"securitySchemes": {`), []byte(`"securitySchemes": {`+queryScheme), 1)
	}
	return text
}

// queryScheme is offered by handlers with Options.KeyInQuery alone.
const queryScheme = `
      "query": {
        "type": "apiKey",
        "in": "query",
        "name": "api_key",
        "description": "The API key in the URL, which appears in logs."
      },`
