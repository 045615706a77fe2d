package main

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// The program runs itself, so the binary of the test has to be the program too.
func TestMain(m *testing.M) {
	if os.Getenv(pathVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The whole output.
func Example() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 64 sign-ups of 8 people in 2 processes: 8 contacts
	// Ada signs up with the family's phone: created
	// Byron signs up with the family's phone: created
	// Ada signs up with the phone of somebody else: email and phone_numbers[0].phone_number belong to different contacts
	//   email belongs to Ada
	//   phone_numbers[0].phone_number belongs to Person 0
	// By her e-mail address alone: updated, Ada has 2 numbers
}
