// Package examples has no code of its own. Each folder below is a program or a
// package that runs and is tested. The tests here compare the Go code of the
// documents with compiled code.
//
//   - first: the program in the README
//   - quickstart: every documented answer of a create, on a real file
//   - embed: a server of your own that creates contacts
//   - signup: people who sign up again and again, and are one contact each
//   - dialler: a list of numbers that must not be called, asked before each call
//   - server: the REST API as a whole server
//   - import: an import of CSV, JSON lines or vCards of any size, with a report of the refused rows
//   - customstore: a store of your own, checked by the conformance suite
package examples
