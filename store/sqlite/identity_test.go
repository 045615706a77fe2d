//go:build cgo && unix

package sqlite_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/contacts"
	"example.com/contacts/store/internal/identitytest"
)

// Concurrent callers of two stores on a file get the answers of calls that are made
// one after the other.
func TestModel(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	identitytest.Run(t, extent(5, 1000), identitytest.Policies(), openFault(t, path), openFault(t, path))
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	identitytest.Scenarios(t, open(t, path), open(t, path))
}

const keyVariable = "SQLITE_TEST_KEY"

// raceWhenAsked takes part in each round that it reads, and prints what its callers
// were told.
func raceWhenAsked(t *testing.T, path string) {
	service, err := contacts.New(openFault(t, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	for rounds := bufio.NewScanner(os.Stdin); rounds.Scan(); {
		round, err := strconv.Atoi(rounds.Text())
		if err != nil {
			t.Fatal(err)
		}
		for _, told := range identitytest.Race(t.Context(), service, os.Getenv(keyVariable), round) {
			line, err := json.Marshal(told)
			if err != nil {
				t.Fatal(err)
			}
			os.Stdout.WriteString(storedPrefix + string(line) + "\n")
		}
	}
}

// Four processes store the same address at the same time, and in some rounds one of
// them is killed.
func TestConcurrentCreateStoresOne(t *testing.T) {
	t.Parallel()
	if path, yes := inAnotherProcess(); yes {
		raceWhenAsked(t, path)
		return
	}
	const victim = 3
	path := newPath(t)
	service, key := identitytest.NewService(t, openFault(t, path))
	racer := func() *process {
		return again(t, path, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, keyVariable+"="+key) })
	}
	all := [victim + 1]*process{racer(), racer(), racer(), racer()}
	for round := range extent(4, 500) {
		for _, p := range all {
			if _, err := fmt.Fprintln(p.stdin, round); err != nil {
				t.Fatal(err)
			}
		}
		killed := round%10 == 3
		if killed { // in the middle of its calls
			kill := all[victim].Process.Kill
			time.AfterFunc(rand.N(5*time.Millisecond), func() { kill() })
		}
		var told []identitytest.Told
		for i, p := range all {
			dies := killed && i == victim
			told = append(told, whatItWasTold(t, p, dies)...)
			if dies {
				_ = p.Wait() // it says that it was killed
				all[i] = racer()
			}
		}
		identitytest.WantOne(t, service, key, round, told, killed)
	}
	for _, p := range all {
		p.end(t)
	}
}

// whatItWasTold returns what the callers of a process were told in a round, or until
// it dies.
func whatItWasTold(t *testing.T, p *process, dies bool) (all []identitytest.Told) {
	t.Helper()
	for dies || len(all) < identitytest.Racers {
		if !p.out.Scan() {
			if !dies {
				t.Fatal("another process has ended")
			}
			return all
		}
		line, ok := strings.CutPrefix(p.out.Text(), storedPrefix)
		if !ok {
			continue // of the test itself
		}
		var told identitytest.Told
		if err := json.Unmarshal([]byte(line), &told); err == nil {
			all = append(all, told)
		} else if !dies { // else it is cut off
			t.Fatal(err)
		}
	}
	return all
}
