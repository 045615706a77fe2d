package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The chart is well-formed, names each row, and has a bar where there is a ratio.
func TestChart(t *testing.T) {
	t.Parallel()
	r := &report{Figures: []*figure{
		{Name: "fast", What: "a `create` & <more>", Reach: 2, Ours: samples{400}, Theirs: samples{100}},
		{Name: "slow", What: "get", Reach: 1, Ours: samples{10}, Theirs: samples{40}},
		{Name: "none", What: "left out"},
	}}
	var b strings.Builder
	if err := r.chart(&b); err != nil {
		t.Fatal(err)
	}
	var texts []string
	bars := -1 // the first rectangle is the ground
	for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		switch e := token.(type) {
		case xml.StartElement:
			if e.Name.Local == "rect" {
				bars++
			}
			for _, a := range e.Attr {
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("%s has %s=%q", e.Name.Local, a.Name.Local, a.Value)
				}
			}
		case xml.CharData:
			if s := strings.TrimSpace(string(e)); s != "" {
				texts = append(texts, s)
			}
		}
	}
	want := []string{
		"How fast the library is against its peers", "ours against a peer, on a logarithmic scale; more is better", "0.25", "0.5", "1", "2", "4",
		"a create & <more>", "fast", "4", "get", "slow", "0.25", "left out", "none",
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
	if bars != 2 {
		t.Errorf("got %d bars, want 2", bars)
	}
}

func TestRatioText(t *testing.T) {
	t.Parallel()
	for ratio, want := range map[float64]string{12.73: "13", 1.058: "1.06", 0.5: "0.5", 4: "4", math.Exp2(-6): "0.0156"} {
		if got := ratioText(ratio); got != want {
			t.Errorf("ratioText(%v) = %q, want %q", ratio, got, want)
		}
	}
}
