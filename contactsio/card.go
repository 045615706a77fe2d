package contactsio

import (
	"bufio"
	"fmt"
	"io"
	"mime/quotedprintable"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-vcard"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// properties are those of one card, by name. Their values are raw: escaped as in the
// file.
type properties vcard.Card

// unparsedLine stands for lines of a card that are no property.
const unparsedLine = "(a line that is no property)"

// parseCard reads the properties of a card of any version. What it cannot keep is
// added to ignored. The parser reads from the reader, whose buffer serves all cards.
// encoding is that of the file.
func parseCard(text, encoding string, reader *bufio.Reader, ignored *nameSet) (properties, error) {
	old := isOldCard(text)
	var lines strings.Builder
	lines.Grow(len(text))
	lines.WriteString("BEGIN:VCARD\n")
	want := 0
	_, text, _ = strings.Cut(text, "\n") // after BEGIN:VCARD
	for l := range strings.SplitSeq(unfold(text, old), "\n") {
		if strings.EqualFold(strings.TrimSpace(l), "END:VCARD") {
			continue
		}
		head, value, ok := cutProperty(l)
		if !ok {
			ignored.add(unparsedLine)
			continue
		}
		name, _, _ := strings.Cut(head, ";")
		if name = name[strings.LastIndexByte(name, '.')+1:]; strings.EqualFold(name, "BEGIN") || strings.EqualFold(name, "END") { // the parser would end the card
			ignored.add(strings.ToUpper(name))
			continue
		}
		head, value, kept, err := modern(head, value, encoding)
		if err != nil {
			return nil, err
		}
		if !kept {
			ignored.add(propertyName([]byte(l)))
			continue
		}
		want++
		// The parser undoes some escapes. Doubled, all are as in the file.
		for _, part := range [...]string{head, ":", value, "\n"} {
			lines.WriteString(strings.ReplaceAll(part, `\`, `\\`))
		}
	}
	lines.WriteString("END:VCARD\n")
	reader.Reset(strings.NewReader(lines.String()))
	card, err := vcard.NewDecoder(reader).Decode()
	if err != nil {
		return nil, err
	}
	for _, fields := range card {
		want -= len(fields)
	}
	if want > 0 {
		ignored.add(unparsedLine)
	}
	return properties(card), nil
}

// isOldCard reports whether a card is of version 2.1.
func isOldCard(text string) bool {
	for l := range strings.Lines(text) {
		if name, version, ok := strings.Cut(l, ":"); ok && strings.EqualFold(strings.TrimSpace(name), "VERSION") {
			return strings.TrimSpace(version) == "2.1"
		}
	}
	return false
}

// unfold returns the text of a card with each property on one line.
func unfold(text string, old bool) string {
	var out strings.Builder
	out.Grow(len(text))
	var breaks softBreaks
	goesOn := false // the last line ends with a soft line break
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\r\n")
		switch {
		case goesOn && !isMark([]byte(l), "END:VCARD"):
		case out.Len() > 0 && isFolded(l) && old: // version 2.1 folds before a blank and keeps it
		case out.Len() > 0 && isFolded(l):
			l = l[1:]
		default:
			l = strings.TrimLeft(l, " \t") // the first line folds no other
			breaks.begin()
			if out.Len() > 0 {
				out.WriteByte('\n')
			}
		}
		if goesOn = breaks.follow([]byte(l)); goesOn {
			l = l[:len(l)-1]
		}
		out.WriteString(l)
	}
	return out.String()
}

// cutProperty cuts a line at the colon after its name and parameters.
func cutProperty(l string) (head, value string, ok bool) {
	quoted := false
	for i := range len(l) {
		switch l[i] {
		case '"':
			quoted = !quoted
		case ':':
			if !quoted {
				return l[:i], l[i+1:], true
			}
		}
	}
	return strings.Cut(l, ":") // a quote that is not closed
}

// lineBreaks writes line breaks as they are escaped.
var lineBreaks = strings.NewReplacer("\r\n", `\n`, "\n", `\n`, "\r", `\n`)

// modern brings a property of version 2.1 into the form of 3.0: types get their
// name, and the value is decoded. A value that is no text is not kept. The charset of a
// property stands against windows-1252 as the encoding of the file, which loses no byte.
func modern(head, value, fileEncoding string) (newHead, newValue string, kept bool, err error) {
	if !strings.Contains(head, ";") {
		return head, value, true, nil
	}
	parts := splitOutsideQuotes(head)
	encoding, charset := "", ""
	kept = true
	out := parts[:1]
	for _, part := range parts[1:] {
		name, setting, named := strings.Cut(part, "=")
		name = strings.ToUpper(strings.TrimSpace(name))
		if !named {
			switch name {
			case "QUOTED-PRINTABLE", "BASE64", "B", "8BIT", "7BIT":
				name, setting = "ENCODING", name
			case "":
				continue
			default:
				name, setting = "TYPE", name
			}
		}
		switch name {
		case "ENCODING":
			encoding = strings.ToUpper(strings.TrimSpace(setting))
		case "CHARSET":
			charset = strings.Trim(strings.TrimSpace(setting), `"`)
		default:
			out = append(out, name+"="+oneQuoted(setting))
		}
	}
	head = strings.Join(out, ";")
	switch encoding {
	case "QUOTED-PRINTABLE":
		// The decoder needs a buffer for the whole line.
		line := bufio.NewReaderSize(strings.NewReader(value), len(value)+1)
		raw, err := io.ReadAll(quotedprintable.NewReader(line))
		if err != nil {
			return "", "", false, fmt.Errorf("the property %s is no quoted-printable", propertyName([]byte(head+":")))
		}
		if value, err = decodeCharset(string(raw), charset); err != nil {
			return "", "", false, err
		}
		value = lineBreaks.Replace(value)
	case "BASE64", "B":
		kept = false
	default:
		if charset == "" || fileEncoding != windows1252Name {
			break
		}
		if value, err = charmap.Windows1252.NewEncoder().String(value); err == nil {
			value, err = decodeCharset(value, charset)
		}
	}
	return head, value, kept, err
}

// withoutCharsets returns a card of a file in windows-1252 with the properties decoded that
// have a charset. Those that cannot be stay as they are.
func withoutCharsets(card string) string {
	var out strings.Builder
	begin, rest, _ := strings.Cut(card, "\n")
	out.WriteString(begin + "\n")
	for l := range strings.SplitSeq(unfold(rest, isOldCard(card)), "\n") {
		if head, value, ok := cutProperty(l); ok && strings.Contains(strings.ToUpper(head), "CHARSET") {
			if head, value, kept, err := modern(head, value, windows1252Name); kept && err == nil {
				l = head + ":" + value
			}
		}
		out.WriteString(l + "\r\n")
	}
	return out.String()
}

// oneQuoted joins the quoted values of a parameter, which the parser takes as one.
func oneQuoted(setting string) string {
	if strings.Count(setting, `"`) > 2 {
		return `"` + strings.ReplaceAll(setting, `"`, "") + `"`
	}
	return setting
}

// decodeCharset decodes text of a charset. "" is UTF-8, or else windows-1252.
func decodeCharset(text, charset string) (string, error) {
	if charset == "" {
		if utf8.ValidString(text) {
			return text, nil
		}
		return charmap.Windows1252.NewDecoder().String(text)
	}
	code, err := htmlindex.Get(charset)
	if err != nil {
		return "", fmt.Errorf("the card has text in %q, which is no known encoding", shorten(charset))
	}
	decoded, err := code.NewDecoder().String(text)
	if err != nil || strings.Contains(decoded, "\ufffd") {
		return "", fmt.Errorf("the card holds bytes that are invalid in %s", charset)
	}
	return decoded, nil
}

// splitOutsideQuotes splits the head of a property at its semicolons.
func splitOutsideQuotes(head string) (parts []string) {
	quoted, start := false, 0
	for i := range len(head) {
		switch head[i] {
		case '"':
			quoted = !quoted
		case ';':
			if !quoted {
				parts = append(parts, head[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, head[start:])
}

// splitEscaped splits a raw value at a separator that is not escaped.
func splitEscaped(raw string, separator byte) (parts []string) {
	start := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case separator:
			parts = append(parts, raw[start:i])
			start = i + 1
		}
	}
	return append(parts, raw[start:])
}

// rawEscapes are those of a raw value. Apple and Google escape the colon of a URL too.
var rawEscapes = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\N`, "\n", `\,`, ",", `\;`, ";", `\:`, ":")

// unescape returns the text of a raw value.
func unescape(raw string) string {
	if !strings.Contains(raw, `\`) { // most values
		return raw
	}
	return rawEscapes.Replace(raw)
}

// isGroup reports whether the card is a list of other cards.
func (p properties) isGroup() bool {
	for _, name := range [...]string{"KIND", "X-ADDRESSBOOKSERVER-KIND"} {
		for _, f := range p[name] {
			if strings.EqualFold(strings.TrimSpace(f.Value), "group") {
				return true
			}
		}
	}
	return false
}

// first returns the first value of that name. "": there is none.
func (p properties) first(name string) string {
	if fields := p[name]; len(fields) > 0 {
		return fields[0].Value
	}
	return ""
}

// labels returns the labels of Apple, by group.
func (p properties) labels() map[string]string {
	labels := make(map[string]string)
	for _, f := range p["X-ABLABEL"] {
		label := strings.TrimSpace(unescape(f.Value))
		if inner, ok := strings.CutPrefix(label, "_$!<"); ok {
			label = strings.TrimSuffix(inner, ">!$_")
		}
		labels[strings.ToLower(f.Group)] = label
	}
	return labels
}

// fromCard takes what the card says.
func (p *person) fromCard(card properties, uid bool) {
	labels := card.labels()
	kind := func(f *vcard.Field) string {
		if label := labels[strings.ToLower(f.Group)]; f.Group != "" && label != "" {
			return label
		}
		return cardType(f)
	}
	p.cardName(card.first("N"))
	p.full = unescape(card.first("FN"))
	p.in.Company = strings.TrimSpace(unescape(splitEscaped(card.first("ORG"), ';')[0]))
	preferred := mostPreferred(card["TEL"])
	for _, f := range card["TEL"] {
		p.phones = append(p.phones, phone{text: unescape(f.Value), label: kind(f), primary: f == preferred})
		p.phoneColumns = append(p.phoneColumns, phoneColumn{name: "TEL"})
	}
	preferred = mostPreferred(card["EMAIL"])
	for _, f := range card["EMAIL"] {
		mark := ""
		if f == preferred {
			mark = "* "
		}
		p.emails = append(p.emails, email{unescape(f.Value), mark})
	}
	for _, f := range card["ADR"] {
		p.addresses = append(p.addresses, cardAddress(f.Value, kind(f)))
	}
	for _, f := range card["URL"] {
		p.websites = append(p.websites, unescape(f.Value))
	}
	for _, f := range card["CATEGORIES"] {
		for _, tag := range splitEscaped(f.Value, ',') {
			p.in.Tags = append(p.in.Tags, unescape(tag))
		}
	}
	p.cardText("TITLE", "title", card)
	p.cardText("NOTE", "note", card)
	others := card.others()
	if uid {
		p.in.ExternalID = unescape(card.first("UID"))
		others = slices.DeleteFunc(others, func(name string) bool { return name == "UID" })
	}
	p.ignored.add(others...)
}

// others returns the names of the properties of which nothing is taken, in alphabetical
// order. The UID is one of them.
func (p properties) others() (names []string) {
	for name := range p {
		switch name {
		case "N", "FN", "ORG", "TEL", "EMAIL", "ADR", "URL", "CATEGORIES", "TITLE", "NOTE", "VERSION", "KIND", "X-ADDRESSBOOKSERVER-KIND", "X-ABLABEL":
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// cardName takes the parts of a name.
func (p *person) cardName(raw string) {
	var parts [5]string // family, given, additional, prefixes, suffixes
	for i, part := range splitEscaped(raw, ';') {
		if i < len(parts) {
			names := splitEscaped(part, ',')
			for i := range names {
				names[i] = strings.TrimSpace(unescape(names[i]))
			}
			parts[i] = strings.TrimSpace(strings.Join(names, " "))
		}
	}
	p.in.LastName, p.in.FirstName, p.middle = parts[0], parts[1], parts[2]
	if parts[3] != "" || parts[4] != "" {
		p.note("first_name", NoteNamePart, "a prefix or suffix of the name is left out")
	}
}

// cardText keeps a text in the custom context.
func (p *person) cardText(property, member string, card properties) {
	var texts []string
	for _, f := range card[property] {
		if text := strings.TrimSpace(unescape(f.Value)); text != "" {
			texts = append(texts, text)
		}
	}
	if texts != nil {
		p.custom(member, strings.Join(texts, "\n"))
	}
}

// mostPreferred returns the field that is preferred to the others. nil: none is. Version
// 4.0 has numbers for it, of which 1 is the first.
func mostPreferred(fields []*vcard.Field) (best *vcard.Field) {
	const last = 100
	lowest := last + 1
	for _, f := range fields {
		rank := last + 1
		if slices.Contains(types(f), "pref") {
			rank = 1
		}
		if _, ok := f.Params["PREF"]; ok {
			var err error
			if rank, err = strconv.Atoi(strings.TrimSpace(f.Params.Get("PREF"))); err != nil || rank < 1 || rank > last {
				rank = 1
			}
		}
		if rank < lowest {
			best, lowest = f, rank
		}
	}
	return best
}

// types returns the types of a property in small letters.
func types(f *vcard.Field) (names []string) {
	for _, types := range f.Params["TYPE"] {
		for name := range strings.SplitSeq(types, ",") {
			names = append(names, strings.ToLower(strings.TrimSpace(name)))
		}
	}
	return names
}

// cardType returns the type that a property has.
func cardType(f *vcard.Field) (kind string) {
	rank := 0
	for _, name := range types(f) {
		r := 1
		switch name {
		case "fax", "pager":
			r = 4
		case "cell", "iphone":
			r = 3
		case "work", "home":
			r = 2
		case "main", "other", "car":
		default:
			continue
		}
		if r > rank {
			kind, rank = name, r
		}
	}
	return kind
}

// cardAddress reads an address: post office box, extension, street, city, state, zip
// code and country.
func cardAddress(raw, kind string) address {
	var parts [7]string
	for i, part := range splitEscaped(raw, ';') {
		if i < len(parts) {
			parts[i] = strings.TrimSpace(unescape(part))
		}
	}
	return address{
		place: otherPlace, label: kind, street: [3]string{parts[2], parts[1], parts[0]},
		city: parts[3], state: parts[4], zipCode: parts[5], country: parts[6],
	}
}
