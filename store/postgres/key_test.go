package postgres_test

import (
	"testing"

	"example.com/contacts/store/internal/keytest"
)

// A key that was valid is judged with each create that it makes.
func TestKeyIsJudgedWithTheCreate(t *testing.T) {
	t.Parallel()
	url := serverURL(t)
	schema := takeSchema(t)
	keytest.Run(t, open(t, url, schema), open(t, url, schema))
}
