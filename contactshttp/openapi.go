package contactshttp

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"strings"
)

// openAPI describes the API under the default prefix. openapi_test.go holds the
// handler to it, and it to the handler.
//
//go:embed openapi.json
var openAPI []byte

// OpenAPI returns the description of the API, a JSON document of OpenAPI 3.1, with
// the paths that a handler of that Options.Prefix has: for tools that make
// clients or pages of it. The limits in it are those of a service without
// options. The document is the caller's to change.
func OpenAPI(prefix string) []byte {
	if prefix == "" {
		prefix = defaultPrefix
	}
	prefix = strings.TrimRight("/"+strings.TrimLeft(prefix, "/"), "/")
	quoted, err := json.Marshal(prefix + "/")
	if err != nil { // no string is an error
		return nil
	}
	return bytes.ReplaceAll(openAPI, []byte(`"`+defaultPrefix+`/`), bytes.TrimSuffix(quoted, []byte(`"`)))
}
