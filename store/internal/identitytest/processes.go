package identitytest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/contacts"
)

// How a process of Processes learns where its data is, and its key.
const (
	placeVariable = "IDENTITYTEST_PLACE"
	keyVariable   = "IDENTITYTEST_KEY"
)

// toldPrefix starts each line of a process that says what a caller was told.
const toldPrefix = "told "

// Processes lets the callers of four processes store one address at the same time, in
// each round another. In one of ten rounds a process is killed. Place makes the place of
// the data, and open opens a store there. Each process runs the test that calls this.
func Processes(t *testing.T, rounds int, place func() string, open func(place string) contacts.Store) {
	t.Helper()
	if place := os.Getenv(placeVariable); place != "" {
		race(t, open(place))
		return
	}
	const victim = 3
	where := place()
	service, key := NewService(t, open(where))
	env := []string{placeVariable + "=" + where, keyVariable + "=" + key}
	all := [victim + 1]*racer{}
	for i := range all {
		all[i] = startRacer(t, env)
	}
	for round := range rounds {
		for _, r := range all {
			if _, err := fmt.Fprintln(r.in, round); err != nil {
				t.Fatal(err)
			}
		}
		killed := round%10 == 1
		if killed { // in the middle of its calls
			kill := all[victim].cmd.Process.Kill
			time.AfterFunc(rand.N(5*time.Millisecond), func() { _ = kill() }) // if it has not ended
		}
		var told []Told
		for i, r := range all {
			dies := killed && i == victim
			told = append(told, r.told(t, dies)...)
			if dies {
				_ = r.cmd.Wait() // it says that it was killed
				all[i] = startRacer(t, env)
			}
		}
		WantOne(t, service, key, round, told, killed)
	}
	for _, r := range all {
		r.end(t)
	}
}

// race takes part in each round that it reads, and prints what its callers were told.
func race(t *testing.T, store contacts.Store) {
	t.Helper()
	service, err := contacts.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	for rounds := bufio.NewScanner(os.Stdin); rounds.Scan(); {
		round, err := strconv.Atoi(rounds.Text())
		if err != nil {
			t.Fatal(err)
		}
		for _, told := range Race(t.Context(), service, os.Getenv(keyVariable), round) {
			tell(t, told)
		}
	}
}

// BatchProcesses lets two processes make the same batch at the same time, under each
// policy. Place and open are those of Processes.
func BatchProcesses(t *testing.T, place func() string, open func(place string) contacts.Store) {
	t.Helper()
	if place := os.Getenv(placeVariable); place != "" {
		makeBatches(t, open(place))
		return
	}
	where := place()
	env := []string{placeVariable + "=" + where}
	processes := []*racer{startRacer(t, env), startRacer(t, env)}
	batchesOfTwo(t, []contacts.Store{open(where)}, func(t *testing.T, s *scene, together bool) map[string]int {
		for _, p := range processes {
			if _, err := fmt.Fprintln(p.in, s.key, together); err != nil {
				t.Fatal(err)
			}
		}
		sum := make(map[string]int)
		for _, p := range processes {
			line, ok := p.next()
			if !ok {
				t.Fatal("another process has ended")
			}
			var counts map[string]int
			if err := json.Unmarshal([]byte(line), &counts); err != nil {
				t.Fatal(err)
			}
			for result, n := range counts {
				sum[result] += n
			}
		}
		return sum
	})
	for _, p := range processes {
		p.end(t)
	}
}

// makeBatches makes a batch for each key that it reads, and prints the results.
func makeBatches(t *testing.T, store contacts.Store) {
	t.Helper()
	service, err := contacts.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		key, together, _ := strings.Cut(lines.Text(), " ")
		all, err := service.CreateContacts(t.Context(), key, contacts.CreateContactsInput{Contacts: tens(), AllOrNothing: together == "true"})
		if err != nil {
			t.Fatal(err)
		}
		tell(t, results(all))
	}
}

// tell prints a line for the process that started this one.
func tell(t *testing.T, what any) {
	t.Helper()
	line, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(toldPrefix + string(line))
}

// A racer is another process that takes part.
type racer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startRacer(t *testing.T, env []string) *racer {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &racer{cmd: exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v")}
	r.cmd.Env, r.cmd.Stderr = append(os.Environ(), env...), os.Stderr
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.out = bufio.NewScanner(out)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// next returns the next line that the process tells, and whether there is one.
func (r *racer) next() (line string, ok bool) {
	for r.out.Scan() {
		if line, ok = strings.CutPrefix(r.out.Text(), toldPrefix); ok {
			return line, true
		} // else it is of the test itself
	}
	return "", false
}

// told returns what the callers of the process were told in a round, or until it dies.
func (r *racer) told(t *testing.T, dies bool) (all []Told) {
	t.Helper()
	for dies || len(all) < Racers {
		line, ok := r.next()
		if !ok {
			if !dies {
				t.Fatal("another process has ended")
			}
			return all
		}
		var told Told
		if err := json.Unmarshal([]byte(line), &told); err == nil {
			all = append(all, told)
		} else if !dies { // else it is cut off
			t.Fatal(err)
		}
	}
	return all
}

// end ends the process, which must say that all was well.
func (r *racer) end(t *testing.T) {
	t.Helper()
	if err := r.in.Close(); err != nil {
		t.Error(err)
	}
	var said []string
	for r.out.Scan() {
		said = append(said, r.out.Text())
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("another process: %v\n%s", err, strings.Join(said, "\n"))
	}
}
