package main

import (
	"strings"
	"testing"
	"time"
)

// No error shows a key or a password, whatever the library says.
func TestSecretsAreCutOut(t *testing.T) {
	t.Parallel()
	key := "ck_" + strings.Repeat("a1B", 16) + "Z"
	for text, want := range map[string]string{
		"the key " + key + " is wrong":                     "the key … is wrong",
		"dial postgres://app:hunter2@db/crm: refused":      "dial postgres://app:…db/crm: refused",
		"postgres://db/crm?sslmode=x&password=hunter2&a=b": "postgres://db/crm?sslmode=x&password=…&a=b",
		"nothing to hide in user_name":                     "nothing to hide in user_name",
	} {
		if got := secretFree(text); got != want {
			t.Errorf("secretFree(%q) is %q, want %q", text, got, want)
		}
	}
}

// People give flags, and an error of the library names options.
func TestErrorsNameFlags(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`contactsio: ReadOptions.Map names the column "x"`: `contactsio: --map names the column "x"`,
		"ExportOptions.PhoneColumns is 99":                 "--phone-columns is 99",
		"Options.DefaultRegion is x":                       "--default-region is x",
		"name it in DoNotCallImportOptions.Column":         "name it in --column",
		"Options.Schema must be a name":                    "Options.Schema must be a name",
	} {
		if got := shown(text); got != want {
			t.Errorf("shown(%q) is %q, want %q", text, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "1d12h": 36 * time.Hour, "10s": 10 * time.Second, "0": 0, "0d": 0,
		"": -1, "d": -1, "1": -1, "-1h": -1, "-1d": -1, "1d-1h": -1, "99999d": -1, "1w": -1, "1d1d": -1,
		"36500d54086h": 36500*day + 54086*time.Hour, "36500d2000000h": -1,
	} {
		d := duration(-1)
		if err := d.UnmarshalText([]byte(text)); (err != nil) != (want == -1) || time.Duration(d) != want && want != -1 {
			t.Errorf("%q is %s, %v; want %s", text, time.Duration(d), err, want)
		}
	}
}
