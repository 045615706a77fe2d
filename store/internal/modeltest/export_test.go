package modeltest

import (
	"pgregory.net/rapid"

	"example.com/contacts/store/memory"
)

// Check is Run for a test that must fail.
func Check(t rapid.TB, plan Plan) {
	s := &stores{plan: plan, memory: memory.New()}
	s.check(t)
}
