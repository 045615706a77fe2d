package main

func Example() {
	main()
	// Output:
	// John john@example.com US not_contacted lead
	// +15551234567 primary: true
	// 400 missing_first_name
	//     first_name is required
	//     email must be one bare address such as name@example.com
}
