package contactshttp

import (
	"bytes"
	_ "embed"
	"encoding/json"
)

// openAPI describes the API under the default prefix. openapi_test.go compares it
// with the handler, both ways.
//
//go:embed openapi.json
var openAPI []byte

// OpenAPI returns the description of the API: a JSON document of OpenAPI 3.1, for
// tools that generate clients or pages. Its paths are those of a handler with that
// Options.Prefix. Its limits are those of a service without options. The caller
// may change the document.
func OpenAPI(prefix string) []byte {
	if prefix == "" {
		prefix = defaultPrefix
	}
	quoted, err := json.Marshal(cleanPrefix(prefix) + "/")
	if err != nil { // every string can be marshalled
		return nil
	}
	return bytes.ReplaceAll(openAPI, []byte(`"`+defaultPrefix+`/`), bytes.TrimSuffix(quoted, []byte(`"`)))
}
