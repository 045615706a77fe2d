package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/contacts"
	"example.com/contacts/store/postgres"
)

// A postgresServer is a PostgreSQL of the benchmarks' own, on a socket in a
// folder of its own, with the defaults of its makers: each commit is synced.
type postgresServer struct {
	dir     string
	process *exec.Cmd
}

var errNoPostgres = errors.New("initdb and postgres are not installed")

func startPostgres(ctx context.Context, dir string) (_ *postgresServer, err error) {
	bin := ""
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // where Debian has them, not in the PATH
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	for _, path := range found {
		bin = filepath.Dir(path)
	}
	if bin == "" {
		return nil, errNoPostgres
	}
	s := &postgresServer{dir: filepath.Join(dir, "postgres")}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() == 0 { // a server does not run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, fmt.Errorf("%w, with their user", errNoPostgres)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}
		if err := errors.Join(os.Chown(s.dir, uid, gid), os.Chmod(dir, 0o711)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(s.dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
	initdb.Dir, initdb.SysProcAttr = s.dir, attr
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	s.process = exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(bin, "postgres"), "-D", data, "-k", s.dir, "-c", "listen_addresses=")
	s.process.Dir, s.process.SysProcAttr = s.dir, attr
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	const patience = time.Minute
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := s.execute(ctx, "SELECT 1")
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil || time.Since(began) > patience {
			return nil, errors.Join(err, s.stop())
		}
	}
}

func (s *postgresServer) stop() error {
	return errors.Join(s.process.Process.Signal(syscall.SIGINT), s.process.Wait())
}

func (s *postgresServer) url(database string) string {
	return "postgres:///" + database + "?user=postgres&host=" + url.QueryEscape(s.dir)
}

func (s *postgresServer) execute(ctx context.Context, sql string) error {
	c, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, sql)
	return err
}

// database makes the database of a target, which has the name of its folder.
func (s *postgresServer) database(ctx context.Context, dir string) (string, error) {
	name := databaseOf(dir)
	return s.url(name), s.execute(ctx, "CREATE DATABASE "+name)
}

func databaseOf(dir string) string { return "b" + filepath.Base(dir) }

// drop removes the database of a target, and has the server write what it has
// kept of it, so that the next one does not pay for it.
func (s *postgresServer) drop(ctx context.Context, dir string) error {
	return errors.Join(s.execute(ctx, "DROP DATABASE "+databaseOf(dir)+" WITH (FORCE)"), s.execute(ctx, "CHECKPOINT"))
}

// count counts the rows that a statement counts.
func (s *postgresServer) count(sql string) func(ctx context.Context, dir string) (counts, error) {
	return func(ctx context.Context, dir string) (n counts, err error) {
		c, err := pgx.Connect(ctx, s.url(databaseOf(dir)))
		if err != nil {
			return n, err
		}
		err = c.QueryRow(ctx, sql).Scan(&n.contacts, &n.phones, &n.tags)
		return n, errors.Join(err, c.Close(ctx), s.drop(ctx, dir))
	}
}

// The peers on a server.

func (s *postgresServer) ours() peer {
	return peer{
		name: "contacts",
		open: func(ctx context.Context, dir string, w *world) (target, error) {
			url, err := s.database(ctx, dir)
			if err != nil {
				return nil, err
			}
			return openPostgres(ctx, url, w)
		},
		count: s.count(`SELECT count(*), coalesce(sum(json_array_length(phones::json)), 0), coalesce(sum(json_array_length(tags::json)), 0) FROM contacts.contact`),
	}
}

func openPostgres(ctx context.Context, url string, w *world) (target, error) {
	store, err := postgres.Open(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	svc, err := contacts.New(store, nil)
	if err == nil {
		_, err = store.AddToDirectory(ctx, w.directory)
		if errors.Is(err, contacts.ErrExists) {
			err = nil // the database is opened again
		}
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &postgresTarget{store, svc}, nil
}

type postgresTarget struct {
	store *postgres.Store
	svc   *contacts.Service
}

func (t *postgresTarget) create(ctx context.Context, c *contact) error {
	_, err := t.svc.CreateContact(ctx, c.key, c.input)
	return err
}

func (t *postgresTarget) createAll(ctx context.Context, all []*contacts.ContactRecord) error {
	return applyAll(ctx, t.store, all)
}

func (t *postgresTarget) find(ctx context.Context, account, id uuid.UUID) (*contacts.ContactRecord, error) {
	return t.store.FindContact(ctx, account, id)
}

func (t *postgresTarget) contactStore() contacts.Store { return t.store }

func (t *postgresTarget) close() error { return t.store.Close() }

// twoStores is ours with two stores on one database, as two processes would have.
func (s *postgresServer) twoStores() peer {
	p := s.ours()
	open := p.open
	p.open = func(ctx context.Context, dir string, w *world) (target, error) {
		first, err := open(ctx, dir, w)
		if err != nil {
			return nil, err
		}
		second, err := openPostgres(ctx, s.url(databaseOf(dir)), w)
		if err != nil {
			return nil, errors.Join(err, first.close())
		}
		return &twoTargets{first: first, second: second}, nil
	}
	return p
}

// twoTargets get the creates in turn.
type twoTargets struct {
	first, second target
	creates       atomic.Int64
}

func (t *twoTargets) create(ctx context.Context, c *contact) error {
	if t.creates.Add(1)%2 == 0 {
		return t.second.create(ctx, c)
	}
	return t.first.create(ctx, c)
}

func (t *twoTargets) contactStore() contacts.Store { return storeOf(t.first) }

func (t *twoTargets) close() error { return errors.Join(t.first.close(), t.second.close()) }

// handwritten is what a program would write for itself: pgx, its pool with as
// many connections as the store has, normalised tables, a transaction for each
// contact. It gets contacts that are valid, with their ids, and checks neither
// key nor team.
func (s *postgresServer) handwritten() peer {
	return peer{
		name: "pgx",
		open: func(ctx context.Context, dir string, _ *world) (target, error) {
			url, err := s.database(ctx, dir)
			if err != nil {
				return nil, err
			}
			pool, err := pgxpool.New(ctx, fmt.Sprintf("%s&pool_max_conns=%d", url, postgresConns))
			if err == nil {
				_, err = pool.Exec(ctx, postgresNormalised)
			}
			return &pgxTarget{pool}, err
		},
		count: s.count(countPostgresNormalised),
	}
}

// postgresConns is how many connections the store has, and its peers get.
const postgresConns = 16

const countPostgresNormalised = `SELECT (SELECT count(*) FROM contacts), (SELECT count(*) FROM phones), (SELECT count(*) FROM tags)`

// postgresNormalised is normalised in PostgreSQL's words.
const postgresNormalised = `
CREATE TABLE contacts (
	account uuid NOT NULL, id uuid NOT NULL,
	first_name text NOT NULL, last_name text, email text, company text, website text,
	address text, city text, state text, zip_code text, country text NOT NULL,
	status text NOT NULL, stage text NOT NULL, team_id bigint,
	custom_context text, industry_context text, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
	PRIMARY KEY (account, id)
);
CREATE INDEX contacts_email ON contacts (account, email);
CREATE TABLE phones (
	n bigserial PRIMARY KEY, account uuid NOT NULL, contact_id uuid NOT NULL,
	id uuid NOT NULL, number text NOT NULL, type text, is_primary boolean NOT NULL, do_not_call boolean NOT NULL
);
CREATE INDEX phones_number ON phones (account, number);
CREATE INDEX phones_contact ON phones (contact_id);
CREATE TABLE tags (
	n bigserial PRIMARY KEY, account uuid NOT NULL, contact_id uuid NOT NULL, tag text NOT NULL
);
CREATE INDEX tags_tag ON tags (account, tag);
CREATE INDEX tags_contact ON tags (contact_id);
`

type pgxTarget struct{ pool *pgxpool.Pool }

func (t *pgxTarget) create(ctx context.Context, c *contact) error {
	return pgx.BeginFunc(ctx, t.pool, func(tx pgx.Tx) error {
		r := &c.record.Contact
		if _, err := tx.Exec(ctx, `INSERT INTO contacts VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`,
			r.AccountID, r.ID, r.FirstName, r.LastName, r.Email, r.Company, r.Website, r.Address, r.City, r.State, r.ZipCode, r.Country,
			r.Status, r.Stage, r.TeamID, c.record.CustomContext, c.record.IndustryContext, r.CreatedAt, r.UpdatedAt); err != nil {
			return err
		}
		for _, p := range r.PhoneNumbers {
			if _, err := tx.Exec(ctx, `INSERT INTO phones (account, contact_id, id, number, type, is_primary, do_not_call) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				r.AccountID, r.ID, p.ID, p.PhoneNumber, p.PhoneType, p.Primary, p.DoNotCall); err != nil {
				return err
			}
		}
		for _, tag := range r.Tags {
			if _, err := tx.Exec(ctx, `INSERT INTO tags (account, contact_id, tag) VALUES ($1, $2, $3)`, r.AccountID, r.ID, tag); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *pgxTarget) close() error {
	t.pool.Close()
	return nil
}

// bulkPostgres writes n contacts in batches, and then has COPY write the same
// rows into the same tables, in the same batches.
func (b *bench) bulkPostgres(ctx context.Context, n int) error {
	copied := b.figure("postgres-bulk-copy")
	if copied == nil {
		return nil
	}
	s := b.postgres
	for range b.reps {
		ours := s.ours()
		var rows [][2][][]any
		ours.count = func(ctx context.Context, dir string) (_ counts, err error) {
			if rows, err = s.rows(ctx, dir); err != nil {
				return counts{}, err
			}
			return s.ours().count(ctx, dir)
		}
		rate, err := inFolder(b.dir, func(dir string) (float64, error) { return b.writeAll(ctx, ours, dir, b.world.records(n)) })
		if err != nil {
			return err
		}
		theirs, err := inFolder(b.dir, func(dir string) (float64, error) { return b.copyAll(ctx, dir, rows, n) })
		if err != nil {
			return err
		}
		copied.add(rate, theirs)
	}
	return nil
}

// The tables of the store that a contact is in, and the columns of its id.
var copiedTables = [2]struct{ name, order string }{{"contact", "id"}, {"contact_lookup", "contact_id"}}

// rows returns what the store has written, in batches.
func (s *postgresServer) rows(ctx context.Context, dir string) ([][2][][]any, error) {
	c, err := pgx.Connect(ctx, s.url(databaseOf(dir)))
	if err != nil {
		return nil, err
	}
	defer c.Close(ctx)
	var batches [][2][][]any
	batchOf := make(map[[16]byte]int) // by contact
	for i, table := range copiedTables {
		rows, err := c.Query(ctx, fmt.Sprintf("SELECT %s, t.* FROM contacts.%s AS t ORDER BY 1", table.order, table.name))
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				return nil, err
			}
			id := values[0].([16]byte)
			at, known := batchOf[id]
			if !known {
				at = len(batchOf) / batchSize
				batchOf[id] = at
			}
			if at == len(batches) {
				batches = append(batches, [2][][]any{})
			}
			batches[at][i] = append(batches[at][i], values[1:])
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return batches, nil
}

// copyAll copies the batches into the tables of an empty store.
func (b *bench) copyAll(ctx context.Context, dir string, batches [][2][][]any, n int) (float64, error) {
	s := b.postgres
	t, err := s.ours().open(ctx, dir, b.world)
	if err != nil {
		return 0, err
	}
	defer t.close()
	c, err := pgx.Connect(ctx, s.url(databaseOf(dir)))
	if err != nil {
		return 0, err
	}
	var columns [2][]string
	for i, table := range copiedTables {
		rows, err := c.Query(ctx, "SELECT * FROM contacts."+table.name+" LIMIT 0")
		if err != nil {
			return 0, err
		}
		for _, f := range rows.FieldDescriptions() {
			columns[i] = append(columns[i], f.Name)
		}
		rows.Close()
	}
	start := time.Now()
	for _, batch := range batches {
		err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
			for i, table := range copiedTables {
				if _, err := tx.CopyFrom(ctx, pgx.Identifier{"contacts", table.name}, columns[i], pgx.CopyFromRows(batch[i])); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	elapsed := time.Since(start)
	if err := errors.Join(t.close(), c.Close(ctx)); err != nil {
		return 0, err
	}
	return float64(n) / elapsed.Seconds(), checkCounts(ctx, s.ours(), dir, n)
}

// writesPostgres creates n contacts, one a call.
func (b *bench) writesPostgres(ctx context.Context, callers, n int) error {
	name := func(peer string) *figure { return b.figure(fmt.Sprintf("postgres-write-%d-%s", callers, peer)) }
	ours := b.postgres.ours()
	peers := slices.DeleteFunc([]against{
		{name("handwritten"), b.postgres.handwritten()}, {name("gorm"), b.postgres.gorm()},
	}, func(a against) bool { return a.figure == nil })
	if len(peers) == 0 {
		return nil
	}
	costs := []*cost{{Callers: callers, Peer: ours.name + ", Postgres"}}
	for _, a := range peers {
		costs = append(costs, &cost{Callers: callers, Peer: a.peer.name})
	}
	b.report.Costs = append(b.report.Costs, costs...)
	for range b.reps {
		all := b.world.contacts(n)
		rateOf := func(p peer, c *cost) (float64, error) {
			return inFolder(b.dir, func(dir string) (float64, error) { return b.write(ctx, p, dir, all, callers, c) })
		}
		rate, err := rateOf(ours, costs[0])
		if err != nil {
			return err
		}
		for i, a := range peers {
			theirs, err := rateOf(a.peer, costs[1+i])
			if err != nil {
				return err
			}
			a.figure.add(rate, theirs)
		}
	}
	return nil
}
