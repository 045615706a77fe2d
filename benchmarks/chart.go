package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// The chart's measures, in pixels.
const (
	chartWidth  = 860
	chartNames  = 250 // the column of names
	chartRow    = 22
	chartTop    = 46
	chartMargin = 70 // right of the bars, for a ratio
)

// chart draws the ratios of the report as bars on a logarithmic scale. The line in
// the middle is a peer that is as fast as ours. A mark on a bar is the ratio to reach.
func (r *report) chart(w io.Writer) error {
	least, most := 1.0, 1.0
	for _, f := range r.Figures {
		for _, ratio := range []float64{f.ratio(), f.Reach} {
			if ratio > 0 && !math.IsInf(ratio, 0) {
				least, most = min(least, ratio), max(most, ratio)
			}
		}
	}
	low, high := math.Floor(math.Log2(least)), math.Ceil(math.Log2(most))
	high = max(high, low+1)
	at := func(ratio float64) float64 {
		return chartNames + (math.Log2(ratio)-low)/(high-low)*(chartWidth-chartNames-chartMargin)
	}
	height := chartTop + chartRow*len(r.Figures) + 10

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">`+"\n",
		chartWidth, height, chartWidth, height)
	b.WriteString("<title>How fast the library is against its peers</title>\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<text x="10" y="18" font-weight="bold">ours against a peer, on a logarithmic scale; more is better</text>`+"\n")
	for power := low; power <= high; power++ {
		x, color := at(math.Exp2(power)), "#dddddd"
		if power == 0 {
			color = "#000000"
		}
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/><text x="%.1f" y="%d" text-anchor="middle" fill="#555555">%s</text>`+"\n",
			x, chartTop-8, x, height-10, color, x, chartTop-14, ratioText(math.Exp2(power)))
	}
	for i, f := range r.Figures {
		y, ratio := chartTop+chartRow*i, f.ratio()
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end"><title>%s</title>%s</text>`+"\n",
			chartNames-8, y+14, html.EscapeString(strings.ReplaceAll(f.What, "`", "")), html.EscapeString(f.Name))
		if !(ratio > 0) || math.IsInf(ratio, 0) {
			continue // it was not measured
		}
		color := "#2f6f9f"
		if f.verdict() == "**missed**" {
			color = "#c05020"
		}
		from, to := min(at(1), at(ratio)), max(at(1), at(ratio))
		fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`, from, y+3, max(to-from, 1), chartRow-8, color)
		if f.Reach > 0 {
			fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#e0a000" stroke-width="2"/>`, at(f.Reach), y+1, at(f.Reach), y+chartRow-3)
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text>`+"\n", to+5, y+14, ratioText(ratio))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// ratioText writes a ratio with three digits at most.
func ratioText(ratio float64) string {
	switch {
	case ratio >= 10:
		return fmt.Sprintf("%.0f", ratio)
	case ratio >= 0.1 && ratio == math.Trunc(ratio):
		return fmt.Sprintf("%.0f", ratio)
	}
	return fmt.Sprintf("%.3g", ratio)
}
