// Package examples holds no code of its own. Each folder below is a program, or
// a package, that runs and is tested; the tests here compare the Go code of the
// documents with code that compiles.
//
//   - first: the program in the README
//   - quickstart: every documented answer of the create, on a real file
//   - embed: a server of your own that creates contacts
//   - server: the REST API as a server of its own
//   - import: a CSV file of any size, with a report of the rows refused
//   - customstore: a store of your own, proved by the conformance suite
package examples
