package apidocs_test

import (
	"bytes"
	"cmp"
	"context"
	"image/color"
	"image/png"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/internal/longtest"
	"example.com/contacts/store/memory"
)

// screenshotsVariable names a folder that keeps the picture of the page, for people.
const screenshotsVariable = "CONTACTS_SCREENSHOTS"

// methodColours are those in which the page shows the methods of operations.
var methodColours = map[string]color.NRGBA{
	"GET": {0x61, 0xaf, 0xfe, 0xff}, "POST": {0x49, 0xcc, 0x90, 0xff}, "PUT": {0xfc, 0xa1, 0x30, 0xff},
	"PATCH": {0x50, 0xe3, 0xc2, 0xff}, "DELETE": {0xf9, 0x3e, 0x3e, 0xff},
}

// TestScreenshotInBrowser takes a picture of the page with all operations, and looks
// for the colours of their methods in it. It is not parallel to the other test, so that
// there is one browser at a time.
func TestScreenshotInBrowser(t *testing.T) {
	longtest.SkipShort(t)
	browser := findBrowser(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	svc, err := contacts.New(memory.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{page: page}
	server := httptest.NewServer(s.handler(svc))
	defer server.Close()

	path := filepath.Join(cmp.Or(os.Getenv(screenshotsVariable), t.TempDir()), "reference.png")
	var log bytes.Buffer
	command := browse(ctx, t, browser, server.URL+s.page, &log,
		"--window-size=1280,3000", "--virtual-time-budget=20000", "--screenshot="+path)
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, log.Bytes())
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.Bytes())
	}
	defer file.Close()
	picture, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[color.NRGBA]bool)
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			seen[color.NRGBAModel.Convert(picture.At(x, y)).(color.NRGBA)] = true
		}
	}
	for method, colour := range methodColours {
		if !seen[colour] {
			t.Errorf("the picture %v does not show the colour of %s", bounds, method)
		}
	}
}
