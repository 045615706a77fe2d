package main

import (
	"context"
	"fmt"
	"os"
)

// The whole output.
func Example() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// line 3 of the list: contacts: validation_error: phone_number: must start with + and the country code
	// 10000 numbers
	// 10499 numbers
	// the list: 10499 added, 0 with a grant, 1 wrong
	// Ada is called: nothing is recorded
	// Bob is not called: block from list:register, is on the register
	// Bob's number has a grant: do_not_call is false
	// line 3 of the list: contacts: validation_error: phone_number: must start with + and the country code
	// 10000 numbers
	// 10499 numbers
	// the list: 10498 added, 1 with a grant, 1 wrong
	// Bob is called: grant from api, asked for an offer, form 815
	// Cy was erased and comes back: do_not_call is true
	// Cy is not called: block from erasure
}
