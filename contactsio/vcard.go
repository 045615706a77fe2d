package contactsio

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"example.com/contacts"
)

// cardRows reads a file of vCards. It cuts the cards out of the file itself, so that
// a card has a bound, pictures are not kept, and a broken card harms no other one.
type cardRows struct {
	reader *Reader
	text   []byte       // of the present card
	lines  bufio.Reader // of it, for the parser
}

// newCardRows refuses a file that holds something else than cards.
func newCardRows(r *Reader, head []byte) (*cardRows, error) {
	for l := range bytes.Lines(head) {
		if isMark(l, "BEGIN:VCARD") {
			return &cardRows{reader: r}, nil
		}
	}
	if len(bytes.TrimSpace(head)) > 0 {
		return nil, fmt.Errorf("contactsio: no line of the first %d KiB of the file is BEGIN:VCARD, so it holds no vCards; give another ReadOptions.Format, or \"\" to find it out", headBytes>>10)
	}
	return &cardRows{reader: r}, nil
}

// cardEnd ends the text of a card of which nothing is missing but its pictures.
const cardEnd = "END:VCARD\r\n"

// next reads the next card that is no group.
func (c *cardRows) next() (Row, error) {
	r := c.reader
	for {
		row, err := c.cut()
		if err != nil {
			return Row{}, err
		}
		row.Raw = []string{string(c.text)}
		if row.Problems != nil {
			return row, nil
		}
		if code, message := r.text.misread(c.text); code != "" {
			row.Problems = problem("", code, message)
			return row, nil
		}
		properties, err := parseCard(row.Raw[0], r.text.encoding, &c.lines, &r.ignored)
		if err != nil {
			row.Problems = problem("", ProblemEncoding, err.Error())
			return row, nil
		}
		if properties.isGroup() {
			r.blank++
			continue
		}
		p := person{region: r.opts.Region, ignored: &r.ignored}
		p.fromCard(properties, r.opts.UID)
		p.finish(&row)
		r.guessed = p.guessed
		return row, nil
	}
}

// cut reads the text of the next card. Of a card that cannot be read it says why.
func (c *cardRows) cut() (Row, error) {
	text := c.reader.text
	var row Row
	open := false
	depth := 0 // of cards inside the card
	kept := cardText{text: c.text[:0], max: text.max, ignored: &c.reader.ignored}
	defer func() { c.text = kept.text }()
	for {
		l, err := text.next()
		if errors.Is(err, io.EOF) && open {
			row.Problems = problem("", ProblemVCard, "the card has no END:VCARD")
			return row, nil
		}
		if err != nil {
			return Row{}, err
		}
		announced, continued := kept.agent, kept.goesOn
		kept.agent, kept.goesOn = false, false
		// A folded line of the card is text, whatever it looks like.
		folded := open && depth == 0 && !announced && isFolded(l.bytes)
		begins, ends := !folded && isMark(l.bytes, "BEGIN:VCARD"), !folded && isMark(l.bytes, "END:VCARD")
		switch {
		case !open && begins:
			open, row.Line, row.Offset = true, l.number, l.offset
			kept.add(l, continued)
		case !open:
		case begins && !announced:
			l.bytes = bytes.Clone(l.bytes)
			text.unread([]line{l})
			row.Problems = problem("", ProblemVCard, "the card has no END:VCARD before the next BEGIN:VCARD")
			return row, nil
		case begins:
			depth++
		case depth > 0 && ends:
			depth--
		case depth > 0:
			kept.agent = propertyName(l.bytes) == "AGENT"
		case ends && kept.over:
			row.Problems = problem("", contacts.FieldTooLong, fmt.Sprintf("the card has more than %d bytes without its pictures", text.max))
			return row, nil
		case ends:
			kept.text = append(kept.text, cardEnd...)
			return row, nil
		default:
			kept.add(l, continued)
		}
	}
}

// A cardText is what is kept of the text of a card: not its pictures, and not what an
// import wrote into it.
type cardText struct {
	text    []byte
	max     int
	ignored *nameSet // properties

	agent    bool // the last line announces a card inside this one
	dropping bool // the last line is one of a property that is not kept
	over     bool // the card is too long
	breaks   softBreaks
	goesOn   bool // the last line ends with a soft line break
}

// add adds a line of the card. continued: it goes on after a soft line break.
func (t *cardText) add(l line, continued bool) {
	name := ""
	if !continued {
		name = propertyName(l.bytes)
	}
	switch {
	case len(bytes.TrimSpace(l.bytes)) == 0 && !continued:
		return
	case t.dropping && name == "":
		t.goesOn = t.breaks.follow(l.bytes)
		return
	}
	if !continued && !isFolded(l.bytes) {
		t.breaks.begin()
	}
	t.goesOn = t.breaks.follow(l.bytes)
	t.dropping = false
	switch name {
	case "PHOTO", "LOGO", "SOUND", "KEY", "AGENT":
		t.dropping, t.agent = true, name == "AGENT"
		t.ignored.add(name)
		return
	case errorProperty: // of an earlier import
		t.dropping = true
		return
	}
	if l.cut || len(t.text)+len(l.bytes) > t.max {
		t.over = true
		return
	}
	t.text = append(t.text, l.bytes...)
}

// A softBreaks follows the lines of a property and finds the soft line breaks of
// quoted-printable text: after an "=" at the end of a line, the next line is the
// text's too, whatever it looks like.
type softBreaks struct {
	head    []byte // name and parameters so far
	inValue bool   // the head is complete
	quoted  bool   // the value is quoted-printable
}

// begin starts a property.
func (b *softBreaks) begin() { *b = softBreaks{head: b.head[:0]} }

// follow reads one more line of the property. It reports whether the line ends with
// a soft line break.
func (b *softBreaks) follow(text []byte) bool {
	text = bytes.TrimRight(text, "\r\n")
	if !b.inValue {
		head, _, found := bytes.Cut(text, []byte(":"))
		b.head = append(b.head, bytes.TrimLeft(head, " \t")...)
		if !found && len(b.head) < headBytes { // no name is longer
			return false
		}
		b.inValue = true
		b.quoted = bytes.IndexByte(b.head, ';') >= 0 && bytes.Contains(bytes.ToUpper(b.head), []byte("QUOTED-PRINTABLE"))
	}
	return b.quoted && bytes.HasSuffix(text, []byte("="))
}

// isMark reports whether a line is BEGIN:VCARD or END:VCARD, in any letter case. Files
// that were joined have byte order marks in the middle.
func isMark(text []byte, mark string) bool {
	return len(text) >= len(mark) && bytes.EqualFold(bytes.TrimSpace(bytes.TrimPrefix(text, []byte(byteOrderMark))), []byte(mark))
}

// isFolded reports whether a line belongs to the one before.
func isFolded[T string | []byte](text T) bool {
	return len(text) > 0 && (text[0] == ' ' || text[0] == '\t')
}

// propertyName returns the name of the property in a line, without its group. "":
// the line is the rest of another one.
func propertyName(text []byte) string {
	if isFolded(text) {
		return ""
	}
	end := bytes.IndexAny(text, ";:")
	if end < 0 {
		return ""
	}
	name := text[:end]
	if group := bytes.LastIndexByte(name, '.'); group >= 0 {
		name = name[group+1:]
	}
	if bytes.IndexByte(text, ':') < 0 && !isPropertyName(name) { // parameters may go on in the next line
		return ""
	}
	return strings.ToUpper(string(name))
}

// isPropertyName reports whether a property can have that name.
func isPropertyName(name []byte) bool {
	return len(name) > 0 && !bytes.ContainsFunc(name, func(c rune) bool {
		return c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z')
	})
}
