package contactsotel_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestDependencies asks the go command what is built on what.
func TestDependencies(t *testing.T) {
	t.Parallel()
	deps := func(dir string) []string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./...")
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	for _, p := range deps("..") {
		if strings.HasPrefix(p, "go.opentelemetry.io/") {
			t.Errorf("the main module depends on %s", p)
		}
	}
	found := false
	for _, p := range deps(".") {
		found = found || p == "go.opentelemetry.io/otel/trace"
		if strings.HasPrefix(p, "go.opentelemetry.io/otel/sdk") {
			t.Errorf("contactsotel depends on %s", p)
		}
	}
	if !found {
		t.Error("contactsotel does not depend on the API of OpenTelemetry")
	}
}
