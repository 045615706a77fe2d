//go:build !cgo

package sqlite

// SQLite is C, and this build has no cgo. The name below is the message: set
// CGO_ENABLED=1 and have a C compiler.
var _ = sqlite_store_needs_cgo__set_CGO_ENABLED_1_and_install_a_C_compiler
