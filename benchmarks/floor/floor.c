/*
 * floor writes contacts as fast as SQLite can: what a program in C reaches with
 * the schema, the settings and the batches of the store, and nothing else to do.
 *
 *     floor SOURCE TARGET BATCH PRAGMAS
 *
 * SOURCE is a finished file of the store. Its rows are read into memory, and
 * TARGET gets the same schema, triggers excepted, and everything that belongs to
 * no contact. Then the clock starts, and the rows of the contacts are written,
 * BATCH contacts to a transaction, until TARGET is closed and holds what SOURCE
 * holds. The output is the number of contacts and the seconds it took.
 *
 * A table belongs to contacts if it has a column seq. The one that has it as its
 * primary key holds one row for each contact.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sqlite3-binding.h"

typedef struct {
	int type, size;
	sqlite3_int64 integer;
	double real;
	void *bytes;
} Value;

typedef struct {
	char *name;
	int columns;
	int rows, next; /* next: the first that is not written yet */
	sqlite3_int64 *seq; /* of each row, ascending */
	Value *values;      /* of all rows, one after the other */
	sqlite3_stmt *insert;
} Table;

static sqlite3 *db;

static void check(int rc) {
	if (rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE) {
		fprintf(stderr, "floor: %s\n", db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
		exit(1);
	}
}

static void *resize(void *p, size_t size) {
	if ((p = realloc(p, size)) == NULL) {
		fprintf(stderr, "floor: out of memory\n");
		exit(1);
	}
	return p;
}

static void run(const char *sql) { check(sqlite3_exec(db, sql, NULL, NULL, NULL)); }

/* prepare prepares the SQL that format makes with name. */
static sqlite3_stmt *prepare(const char *format, const char *name) {
	char *sql = sqlite3_mprintf(format, name);
	sqlite3_stmt *s;
	check(sqlite3_prepare_v2(db, sql, -1, &s, NULL));
	sqlite3_free(sql);
	return s;
}

static int next_row(sqlite3_stmt *s) {
	int rc = sqlite3_step(s);
	check(rc);
	return rc == SQLITE_ROW;
}

static Value read_value(sqlite3_stmt *s, int column) {
	Value v = {.type = sqlite3_column_type(s, column)};
	switch (v.type) {
	case SQLITE_INTEGER:
		v.integer = sqlite3_column_int64(s, column);
		break;
	case SQLITE_FLOAT:
		v.real = sqlite3_column_double(s, column);
		break;
	case SQLITE_TEXT:
	case SQLITE_BLOB: {
		const void *bytes = sqlite3_column_blob(s, column);
		v.size = sqlite3_column_bytes(s, column);
		v.bytes = resize(NULL, v.size + 1);
		if (v.size > 0)
			memcpy(v.bytes, bytes, v.size);
		break;
	}
	}
	return v;
}

static void bind_value(sqlite3_stmt *s, int parameter, const Value *v) {
	switch (v->type) {
	case SQLITE_INTEGER:
		check(sqlite3_bind_int64(s, parameter, v->integer));
		break;
	case SQLITE_FLOAT:
		check(sqlite3_bind_double(s, parameter, v->real));
		break;
	case SQLITE_TEXT:
		check(sqlite3_bind_text(s, parameter, v->bytes, v->size, SQLITE_STATIC));
		break;
	case SQLITE_BLOB:
		check(sqlite3_bind_blob(s, parameter, v->bytes, v->size, SQLITE_STATIC));
		break;
	default:
		check(sqlite3_bind_null(s, parameter));
	}
}

/* load reads the whole table of source and prepares the INSERT of a row. */
static void load(Table *t) {
	sqlite3_stmt *s = prepare("SELECT seq, * FROM source.\"%w\" ORDER BY seq", t->name);
	int capacity = 0;
	t->columns = sqlite3_column_count(s) - 1;
	while (next_row(s)) {
		if (t->rows == capacity) {
			capacity = capacity ? 2 * capacity : 1024;
			t->seq = resize(t->seq, sizeof *t->seq * capacity);
			t->values = resize(t->values, sizeof *t->values * capacity * t->columns);
		}
		t->seq[t->rows] = sqlite3_column_int64(s, 0);
		for (int i = 0; i < t->columns; i++)
			t->values[(size_t)t->rows * t->columns + i] = read_value(s, i + 1);
		t->rows++;
	}
	check(sqlite3_finalize(s));

	sqlite3_str *sql = sqlite3_str_new(db);
	sqlite3_str_appendf(sql, "INSERT INTO main.\"%w\" VALUES (?", t->name);
	for (int i = 1; i < t->columns; i++)
		sqlite3_str_appendall(sql, ", ?");
	sqlite3_str_appendall(sql, ")");
	char *insert = sqlite3_str_finish(sql);
	t->insert = prepare("%s", insert);
	sqlite3_free(insert);
}

/* write_rows writes the rows of t that belong to contacts up to seq. */
static void write_rows(Table *t, sqlite3_int64 seq) {
	for (; t->next < t->rows && t->seq[t->next] <= seq; t->next++) {
		const Value *row = &t->values[(size_t)t->next * t->columns];
		for (int i = 0; i < t->columns; i++)
			bind_value(t->insert, i + 1, &row[i]);
		check(sqlite3_step(t->insert));
		check(sqlite3_reset(t->insert));
	}
}

/* each runs, for every row of query, the SQL that format makes with its column. */
static void each(const char *query, const char *format) {
	sqlite3_stmt *s = prepare("%s", query);
	while (next_row(s)) {
		const char *column = (const char *)sqlite3_column_text(s, 0);
		char *sql = sqlite3_mprintf(format, column, column);
		run(sql);
		sqlite3_free(sql);
	}
	check(sqlite3_finalize(s));
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
	if (argc != 5) {
		fprintf(stderr, "usage: floor SOURCE TARGET BATCH PRAGMAS\n");
		return 2;
	}
	const int batch = atoi(argv[3]);

	check(sqlite3_open(argv[2], &db));
	sqlite3_stmt *s = prepare("ATTACH %Q AS source", argv[1]);
	next_row(s);
	check(sqlite3_finalize(s));
	each("PRAGMA source.page_size", "PRAGMA main.page_size = %s");
	each("SELECT sql FROM source.sqlite_schema"
	     " WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' AND type <> 'trigger' ORDER BY rowid", "%s");
	each("SELECT name FROM source.sqlite_schema AS t WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
	     " AND NOT EXISTS (SELECT * FROM pragma_table_info(t.name) WHERE name = 'seq')",
	     "INSERT INTO main.\"%w\" SELECT * FROM source.\"%w\"");

	Table *tables = NULL; /* that of one row for each contact first */
	int count = 0;
	s = prepare("SELECT t.name FROM source.sqlite_schema AS t, pragma_table_info(t.name) AS c"
	            " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%%' AND c.name = 'seq' ORDER BY c.pk <> 1, t.rowid", NULL);
	while (next_row(s)) {
		tables = resize(tables, sizeof *tables * (count + 1));
		tables[count] = (Table){.name = sqlite3_mprintf("%s", sqlite3_column_text(s, 0))};
		load(&tables[count++]);
	}
	check(sqlite3_finalize(s));
	if (count == 0) {
		fprintf(stderr, "floor: no table of %s has a column seq\n", argv[1]);
		return 1;
	}
	run("DETACH source");
	run(argv[4]);
	sqlite3_stmt *begin = prepare("BEGIN IMMEDIATE", NULL), *commit = prepare("COMMIT", NULL);

	const double start = now();
	const int contacts = tables[0].rows;
	for (int i = 0; i < contacts; i += batch) {
		const int last = (i + batch < contacts ? i + batch : contacts) - 1;
		const sqlite3_int64 seq = tables[0].seq[last];
		check(sqlite3_step(begin));
		check(sqlite3_reset(begin));
		for (int t = 0; t < count; t++)
			write_rows(&tables[t], seq);
		check(sqlite3_step(commit));
		check(sqlite3_reset(commit));
	}
	sqlite3_finalize(begin);
	sqlite3_finalize(commit);
	for (int t = 0; t < count; t++)
		sqlite3_finalize(tables[t].insert);
	check(sqlite3_close(db));
	printf("%d %.6f\n", contacts, now() - start);
	return 0;
}
