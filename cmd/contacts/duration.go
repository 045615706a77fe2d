package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A duration is that of Go, with d for days: "90d", "1d12h".
type duration time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *duration) UnmarshalText(text []byte) error {
	wrong := fmt.Errorf("%q is no duration: give a number with d, h, m or s, such as 90d or 1d12h", text)
	rest := string(text)
	if rest == "" {
		return wrong
	}
	var days int64
	if number, after, ok := strings.Cut(rest, "d"); ok {
		n, err := strconv.ParseInt(number, 10, 64)
		const maxDays = 36_500
		if err != nil || n < 0 || n > maxDays {
			return wrong
		}
		days, rest = n, after
	}
	sum := time.Duration(days) * 24 * time.Hour
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil || more < 0 || more > math.MaxInt64-sum {
			return wrong
		}
		sum += more
	}
	*d = duration(sum)
	return nil
}

// String returns the duration with days, such as "30d" or "1d12h0m0s"; "" for 0.
func (d duration) String() string {
	const day = 24 * time.Hour
	days, rest := time.Duration(d)/day, time.Duration(d)%day
	var text string
	if days > 0 {
		text = strconv.FormatInt(int64(days), 10) + "d"
	}
	if rest > 0 {
		text += rest.String()
	}
	return text
}

// A period is a duration of more than 0. The zero value is for a flag that is not given,
// which means no end.
type period duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *period) UnmarshalText(text []byte) error {
	if err := (*duration)(p).UnmarshalText(text); err != nil {
		return err
	}
	if *p == 0 {
		return fmt.Errorf("%q is no time: give more than 0, or leave it out for no end", text)
	}
	return nil
}
