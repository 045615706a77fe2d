package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestHelp prints the help of each command. It names each flag and argument with what
// it is for, and the variables that a server needs.
func TestHelp(t *testing.T) {
	t.Parallel()
	var walk func(node *kong.Node, path []string)
	commands := 0
	walk = func(node *kong.Node, path []string) {
		var g grammar
		var out bytes.Buffer
		parser, err := newParser(&g, kong.Writers(&out, &out), kong.Exit(func(int) {}))
		must(t, err)
		_, _ = parser.Parse(append(path, "--help")) // after the help, arguments are missing
		for _, child := range node.Children {
			if !strings.Contains(out.String(), child.Name) || child.Help == "" {
				t.Errorf("the help of %q does not say what %s is for", path, child.Name)
			}
			walk(child, append(path[:len(path):len(path)], child.Name))
		}
		if len(node.Children) > 0 {
			return
		}
		commands++
		values := node.Positional
		for _, flag := range node.Flags {
			values = append(values, flag.Value)
		}
		for _, value := range values {
			if !strings.Contains(out.String(), value.Name) || value.Help == "" {
				t.Errorf("the help of %q does not say what %s is for", path, value.Name)
			}
			if value.Flag != nil && !value.IsBool() && (strings.Contains(value.Summary(), `""`) || strings.Contains(value.Summary(), "…,") || strings.HasSuffix(value.Summary(), "=STRING")) {
				t.Errorf("the help of %q does not say what kind of value %s is", path, value.Summary())
			}
			for _, variable := range value.Tag.Envs {
				if !strings.Contains(out.String(), "$"+variable) {
					t.Errorf("the help of %q does not name the variable %s", path, variable)
				}
			}
		}
	}
	parser, err := newParser(new(grammar))
	must(t, err)
	walk(parser.Model.Node, nil)
	const least = 30
	if commands < least {
		t.Errorf("there are %d commands, want %d or more", commands, least)
	}
}

// TestUsage gives command lines that are wrong. They are 2, and nothing was done.
func TestUsage(t *testing.T) {
	t.Parallel()
	const id = "0190b6c6-0000-7000-8000-000000000000"
	folder := t.TempDir()
	db := filepath.Join(folder, "x.db")
	for _, test := range []struct {
		args string // of a command; STORE is a store
		want string // in the error
	}{
		{"", "expected one of"},
		{"nonsense", "nonsense"},
		{"version --nonsense", "unknown flag --nonsense"},
		{"accounts create STORE", "<name>"},
		{"accounts list --db env:CONTACTS_NOWHERE", "CONTACTS_NOWHERE is not set"},
		{"keys issue STORE --name n --can p --teams 1 --all-teams", "can't be used together"},
		{"keys issue STORE --name n --can p --expires tomorrow", `"tomorrow" is no duration`},
		{"keys issue STORE --name n --can can_read_contacts --expires 0d", `"0d" is no time: give more than 0`},
		{"do-not-call block STORE +15551234567 --as-admin --expires 0", `"0" is no time: give more than 0`},
		{"do-not-call import STORE list.txt --source s --as-admin --expires 0s", `"0s" is no time: give more than 0`},
		{"accounts policy STORE no-id", "invalid UUID"},
		{"accounts policy STORE " + id + " --keys email", "--set"},
		{"accounts policy STORE " + id + " --mode fill", "--set"},
		{"accounts policy STORE " + id + " --phone-forms", "--set"},
		{"accounts policy STORE " + id + " --set refuse", `must be one of "allow","reject","return_existing","upsert"`},
		{"accounts policy STORE " + id + " --set reject --keys name", "give external_id, email or phone_number"},
		{"accounts policy STORE " + id + " --set upsert --tags-mode none", "--tags-mode"},
		{"accounts events STORE " + id + " --on --off", "can't be used together"},
		{"accounts events STORE " + id + " --keep soon", `"soon" is no duration`},
		{"accounts disable STORE " + id, "--yes"},
		{"keys revoke STORE " + id, "--yes"},
		{"backup --db postgres://localhost/x -o f", "pg_dump"},
		{"restore f --db postgres://localhost/x --yes", "pg_restore"},
		{"restore STORE --yes", "<backup>"},
		{"serve STORE --addr 0.0.0.0:0", "--insecure"},
		{"serve STORE --addr nonsense", "HOST:PORT"},
		{"serve STORE --tls-cert c.pem", "--tls-key"},
		{"serve STORE --log xml", "--log"},
		{"serve STORE --default-region usa", "--default-region: must be two upper-case letters"},
		{"import STORE --as-admin f --region us", "--region: must be two upper-case letters"},
		{"export STORE --as-admin --history", "--format jsonl"},
		{"export STORE --as-admin --format jsonl --columns email", "--format csv"},
		{"export STORE --as-admin --key-file f", "can't be used together"},
		{"import STORE --as-admin f --checkpoint c --dry-run", "dry run"},
		{"import STORE --as-admin - --checkpoint c", "standard input"},
		{"import STORE --as-admin f g --checkpoint c", "one file at a time"},
		{"import STORE --as-admin f g --refused r", "one file at a time"},
		{"import STORE --as-admin f --refused r --report r", "the same file"},
		{"import STORE --as-admin f --refused r --report ./r", "the same file"},
		{"import STORE --as-admin - f -", "given twice"},
		{"backup STORE -o -", "standard output"},
		{"import STORE --as-admin f --refused -", "standard output"},
		{"import STORE --as-admin f --report -", "standard output"},
		{"import STORE --as-admin f --checkpoint -", "standard output"},
		{"do-not-call import STORE --as-admin f --source s --refused -", "standard output"},
		{"erase person STORE --yes --email a@example.com --receipt -", "standard output"},
		{"export STORE --as-admin --output=", "the name of the file is empty"},
		{"do-not-call export STORE --as-admin --output=", "the name of the file is empty"},
		{"backup STORE --output=", "the name of the file is empty"},
		{"import STORE --as-admin f --checkpoint=", "the name of the file is empty"},
		{"import STORE --as-admin f --default team_id=sales", `team_id is "sales": give the number of a team`},
		{"import STORE --as-admin f --comma ;;", "one character"},
		{"import STORE --as-admin f --mode fill", "--upsert"},
		{"import STORE --as-admin f --upsert --match-on name", `"name" is no kind of match key: give external_id, email or phone_number`},
		{"import STORE --as-admin f --upsert --match-on=", "give external_id, email or phone_number"},
		{"import STORE --as-admin f --upsert --match-on email,email", "email is given twice"},
		{"import STORE --as-admin f --default nonsense=1", "nonsense"},
		{"import STORE --as-admin f --default tags=a", "the value of tags is no text"},
		{"import STORE --key-file - -", "standard input"},
		{"do-not-call check STORE", "<number>"},
		{"do-not-call check STORE --key-file - +15551234567", "no API key was given"},
		{"do-not-call grant STORE --as-admin", "--file"},
		{"do-not-call grant STORE --as-admin +15551234567 --reason r", "--reference"},
		{"do-not-call grant STORE --as-admin +15551234567 --file f", "--file"},
		{"do-not-call grant STORE --as-admin +15551234567 --reason r --reference x --refused r", "--column and --refused need --file"},
		{"do-not-call import STORE --as-admin f", "--source"},
		{"do-not-call import STORE --as-admin f --source=", "--source is empty"},
		{"do-not-call import STORE --key-file - --source s -", "standard input"},
		{"do-not-call block STORE --as-admin +15551234567 --at yesterday", `"yesterday" is no time`},
		{"duplicates STORE --as-admin --kind name", "--kind"},
		{"erase person STORE --yes", "give --id, --email, --number or --external-id"},
		{"erase preview STORE", "give --id, --email, --number or --external-id"},
		{"erase person STORE --yes --email=", "give --id"},
		{"erase person STORE --yes --email a@example.com --number +15551234567", "can't be used together"},
		{"erase person STORE --email a@example.com", "--yes"},
		{"erase verify STORE", "--text"},
		{"erase reapply STORE f", "--yes"},
		{"events show STORE --as-admin", "<contact-id>"},
		{"copy STORE", "<to>"},
		{"copy " + db + " env:CONTACTS_NOWHERE", "TO is env:CONTACTS_NOWHERE"},
		{"copy " + db + " " + db, "the same store"},
		{"copy " + db + " y.db --remove", "--again"},
		// Other users of the machine can read arguments.
		{"accounts list --db postgres://u:hunter2@localhost/x", "this URL has a password"},
		{"accounts list --db postgres://localhost/x?password=hunter2", "this URL has a password"},
		{"copy " + db + " postgres://u:hunter2@localhost/x", "this URL has a password"},
	} {
		var out, said bytes.Buffer
		args := strings.Fields(strings.ReplaceAll(test.args, "STORE", "--db "+db))
		if code := run(t.Context(), args, strings.NewReader(""), &out, &said); code != exitUsage || !strings.Contains(said.String(), test.want) {
			t.Errorf("contacts %s: exit code %d, want %d and %q:\n%s", test.args, code, exitUsage, test.want, &said)
		}
		if strings.Contains(said.String(), "hunter2") {
			t.Errorf("contacts %s: it said the password:\n%s", test.args, &said)
		}
	}
	if made, err := os.ReadDir(folder); err != nil || len(made) > 0 {
		t.Errorf("made %v: %v", made, err)
	}
}
