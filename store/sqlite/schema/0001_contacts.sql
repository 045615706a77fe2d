-- Times are microseconds since 1970 in UTC. NULL is what Go holds as the zero
-- value: an absent text, no team, no time. Ids are the 16 bytes of a UUID.
-- Rows refer to an account by its short number n, so that keys stay small.

CREATE TABLE account (
  n                INTEGER PRIMARY KEY,
  id               BLOB NOT NULL UNIQUE,
  name             TEXT NOT NULL,
  created_at       INTEGER,
  disabled_at      INTEGER,
  settings_version INTEGER NOT NULL DEFAULT 0 -- how many settings were ever stored
) STRICT;

CREATE TABLE team (
  account    INTEGER NOT NULL REFERENCES account (n),
  id         INTEGER NOT NULL,
  name       TEXT NOT NULL,
  created_at INTEGER,
  PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
  id          BLOB NOT NULL PRIMARY KEY,
  account     INTEGER NOT NULL REFERENCES account (n),
  hash        BLOB NOT NULL UNIQUE, -- SHA-256 of the key, which is stored nowhere
  name        TEXT NOT NULL,
  permissions TEXT,                 -- JSON array
  team_ids    TEXT,                 -- JSON array
  all_teams   INTEGER NOT NULL,
  created_at  INTEGER,
  expires_at  INTEGER,
  revoked_at  INTEGER
) STRICT;

CREATE INDEX api_key_account ON api_key (account, id);

-- Every value that a setting of an account ever had. The newest one holds.
CREATE TABLE setting (
  account INTEGER NOT NULL REFERENCES account (n),
  version INTEGER NOT NULL, -- counts the settings of the account, from 1
  name    TEXT NOT NULL,
  value   TEXT NOT NULL,    -- JSON; empty: the setting is gone
  at      INTEGER,
  actor   TEXT NOT NULL,    -- JSON: who stored it
  PRIMARY KEY (account, version)
) STRICT, WITHOUT ROWID;

-- One row: how often the four tables above have changed. A process that keeps
-- some of them in memory reads it to know whether they have changed since.
CREATE TABLE directory_version (
  one     INTEGER PRIMARY KEY CHECK (one = 1),
  version INTEGER NOT NULL
) STRICT;

INSERT INTO directory_version VALUES (1, 0);

CREATE TRIGGER account_inserted AFTER INSERT ON account BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER account_updated AFTER UPDATE ON account BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER account_deleted AFTER DELETE ON account BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER team_inserted AFTER INSERT ON team BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER team_updated AFTER UPDATE ON team BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER team_deleted AFTER DELETE ON team BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER api_key_inserted AFTER INSERT ON api_key BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER api_key_updated AFTER UPDATE ON api_key BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER api_key_deleted AFTER DELETE ON api_key BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER setting_inserted AFTER INSERT ON setting BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER setting_updated AFTER UPDATE ON setting BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER setting_deleted AFTER DELETE ON setting BEGIN UPDATE directory_version SET version = version + 1; END;

-- A seq is never given again, not even after the newest contact was removed: the
-- look-ups may have passed it.
CREATE TABLE contact_data (
  seq              INTEGER PRIMARY KEY AUTOINCREMENT,
  account          INTEGER NOT NULL REFERENCES account (n),
  id               BLOB NOT NULL,
  first_name       TEXT NOT NULL,
  last_name        TEXT,
  email            TEXT,
  company          TEXT,
  website          TEXT,
  address          TEXT,
  city             TEXT,
  state            TEXT,
  zip_code         TEXT,
  country          TEXT NOT NULL,
  status           TEXT NOT NULL,
  stage            TEXT NOT NULL,
  external_id      TEXT, -- the id that the host's own system has for the person
  team_id          INTEGER,
  phones           TEXT, -- JSON: [[id, number, type, primary 0/1], ...]
  tags             TEXT, -- JSON array
  custom_context   TEXT, -- JSON object
  industry_context TEXT, -- JSON object
  created_at       INTEGER,
  updated_at       INTEGER,
  version          INTEGER,
  deleted_at       INTEGER, -- NULL: the contact was not deleted
  UNIQUE (account, id),
  FOREIGN KEY (account, team_id) REFERENCES team (account, id)
) STRICT;

-- Both hold deleted contacts alone. The first lists those of an account, the
-- second finds those that were deleted before some time.
CREATE INDEX contact_deleted ON contact_data (account, id, deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX contact_deleted_at ON contact_data (account, deleted_at) WHERE deleted_at IS NOT NULL;

-- Where contacts are found: kind 1 by the digits of a phone number, 2 by a hash
-- of the e-mail address in the form in which addresses are compared, 3 by a hash
-- of a tag, 4 by a hash of the external id. A row here says where to look, and contact_data what is true.
-- Contacts with a seq above that of lookup_state are not in it yet.
CREATE TABLE lookup (
  account INTEGER NOT NULL,
  kind    INTEGER NOT NULL,
  value   INTEGER NOT NULL,
  seq     INTEGER NOT NULL,
  PRIMARY KEY (account, kind, value, seq)
) STRICT, WITHOUT ROWID;

-- Entries that a change removed while they could still be on their way to the
-- look-ups. The transaction that moves lookup_state past their contact removes
-- them there.
CREATE TABLE lookup_gone (
  seq     INTEGER NOT NULL,
  account INTEGER NOT NULL,
  kind    INTEGER NOT NULL,
  value   INTEGER NOT NULL,
  PRIMARY KEY (seq, account, kind, value)
) STRICT, WITHOUT ROWID;

CREATE TABLE lookup_state (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  seq INTEGER NOT NULL
) STRICT;

INSERT INTO lookup_state VALUES (1, 0);

-- A call that is sent again with the same key is the same call. A record that has ended
-- counts as absent. Up to a hundred records of a transaction share a row. An n is never
-- given again: processes remember which rows they have seen.
CREATE TABLE idempotency (
  n       INTEGER PRIMARY KEY AUTOINCREMENT,
  hashes  BLOB NOT NULL,   -- of account and key of each record: random, 8 bytes
  records BLOB NOT NULL,   -- the rest: SHA-256 of keys and of what the calls were given, and results
  ends_at INTEGER NOT NULL -- the last of them
) STRICT;

CREATE INDEX idempotency_ends_at ON idempotency (ends_at);

-- Where records are found by their hash. A new hash is not here yet. Later, sorted and
-- many at a time, those of one part of the range come here, and share the pages that
-- they change.
CREATE TABLE idempotency_lookup (
  hash INTEGER NOT NULL,
  n    INTEGER NOT NULL,
  PRIMARY KEY (hash, n)
) STRICT, WITHOUT ROWID;

-- Up to which row of idempotency the hashes of each part of the range are in
-- idempotency_lookup. A part has the hashes that begin with the same 6 bits.
CREATE TABLE idempotency_moved (
  part INTEGER PRIMARY KEY,
  n    INTEGER NOT NULL
) STRICT;

WITH RECURSIVE parts (part) AS (SELECT 0 UNION ALL SELECT part + 1 FROM parts LIMIT 64)
INSERT INTO idempotency_moved SELECT part, 0 FROM parts;

-- What happened in an account, numbered in the order of the commits.
CREATE TABLE journal (
  n        INTEGER PRIMARY KEY,
  account  INTEGER NOT NULL REFERENCES account (n),
  sequence INTEGER NOT NULL, -- counts the entries of the account, from 1
  kind     INTEGER NOT NULL, -- 1 event, 2 do-not-call, 3 erasure
  head     INTEGER NOT NULL, -- the first 8 bytes of the subject: a short index dirties few pages
  subject  BLOB NOT NULL,    -- 32 bytes: what the entry is about
  at       INTEGER,
  data     TEXT NOT NULL,    -- JSON
  ends_at  INTEGER,          -- of events alone: from then on the entry may be removed; NULL: never
  UNIQUE (account, sequence)
) STRICT;

-- Ids of new contacts ascend, in all accounts. With the head first, their events go to
-- the end of the index, which is one page.
CREATE INDEX journal_subject ON journal (head, account, kind);
CREATE INDEX journal_ends_at ON journal (ends_at) WHERE ends_at IS NOT NULL;
CREATE INDEX journal_erasure ON journal (account, sequence) WHERE kind = 3; -- few among many

-- The number of the newest entry that each account ever had.
CREATE TABLE journal_state (
  account  INTEGER PRIMARY KEY REFERENCES account (n),
  sequence INTEGER NOT NULL
) STRICT;

-- Entries that are not events stay. An erasure may remove the number and the
-- notes of a do-not-call entry, and nothing else of it. Its own receipt never
-- changes.
CREATE TRIGGER journal_stays BEFORE DELETE ON journal WHEN OLD.kind <> 1
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER journal_keeps BEFORE UPDATE ON journal WHEN OLD.kind <> 1 AND (
  OLD.kind = 3
  OR (NEW.account, NEW.sequence, NEW.kind, NEW.head, NEW.subject, NEW.at, NEW.ends_at)
    IS NOT (OLD.account, OLD.sequence, OLD.kind, OLD.head, OLD.subject, OLD.at, OLD.ends_at)
  OR EXISTS (
    SELECT 1 FROM (SELECT iif(json_valid(NEW.data), NEW.data, '{}') AS new, iif(json_valid(OLD.data), OLD.data, '{}') AS old)
    WHERE coalesce(new ->> 'phone_number', old ->> 'phone_number') IS NOT old ->> 'phone_number'
      OR (new ->> 'type', new ->> 'at', new ->> 'expires_at') IS NOT (old ->> 'type', old ->> 'at', old ->> 'expires_at')))
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only; an erasure may remove a number and its notes'); END;

-- The views are for people with the sqlite3 shell; the program never reads them.
-- Deleted contacts are in all of them until they are purged: where deleted_at IS
-- NULL are those that the program shows.

CREATE VIEW contact AS
SELECT
  substr(c.hex, 1, 8) || '-' || substr(c.hex, 9, 4) || '-' || substr(c.hex, 13, 4) || '-'
    || substr(c.hex, 17, 4) || '-' || substr(c.hex, 21) AS id,
  substr(a.hex, 1, 8) || '-' || substr(a.hex, 9, 4) || '-' || substr(a.hex, 13, 4) || '-'
    || substr(a.hex, 17, 4) || '-' || substr(a.hex, 21) AS account_id,
  c.first_name, c.last_name, c.email, c.company, c.website,
  c.address, c.city, c.state, c.zip_code, c.country, c.status, c.stage,
  c.external_id, c.team_id, t.name AS team_name,
  c.custom_context, c.industry_context,
  strftime('%Y-%m-%dT%H:%M:%S', c.created_at / 1000000, 'unixepoch')
    || printf('.%06dZ', c.created_at % 1000000) AS created_at,
  strftime('%Y-%m-%dT%H:%M:%S', c.updated_at / 1000000, 'unixepoch')
    || printf('.%06dZ', c.updated_at % 1000000) AS updated_at,
  c.version,
  strftime('%Y-%m-%dT%H:%M:%S', c.deleted_at / 1000000, 'unixepoch')
    || printf('.%06dZ', c.deleted_at % 1000000) AS deleted_at
FROM (SELECT *, lower(hex(id)) AS hex FROM contact_data) AS c
JOIN (SELECT n, lower(hex(id)) AS hex FROM account) AS a ON a.n = c.account
LEFT JOIN team AS t ON t.account = c.account AND t.id = c.team_id;

-- One row for each phone number; position counts from 1.
CREATE VIEW contact_phone AS
SELECT
  substr(c.hex, 1, 8) || '-' || substr(c.hex, 9, 4) || '-' || substr(c.hex, 13, 4) || '-'
    || substr(c.hex, 17, 4) || '-' || substr(c.hex, 21) AS contact_id,
  p.key + 1 AS position,
  json_extract(p.value, '$[0]') AS id,
  json_extract(p.value, '$[1]') AS phone_number,
  nullif(json_extract(p.value, '$[2]'), '') AS phone_type,
  json_extract(p.value, '$[3]') AS is_primary
FROM (SELECT phones, lower(hex(id)) AS hex FROM contact_data) AS c, json_each(c.phones) AS p;

-- One row for each tag; position counts from 1.
CREATE VIEW contact_tag AS
SELECT
  substr(c.hex, 1, 8) || '-' || substr(c.hex, 9, 4) || '-' || substr(c.hex, 13, 4) || '-'
    || substr(c.hex, 17, 4) || '-' || substr(c.hex, 21) AS contact_id,
  t.key + 1 AS position,
  t.value AS tag
FROM (SELECT tags, lower(hex(id)) AS hex FROM contact_data) AS c, json_each(c.tags) AS t;

-- One row for each block and each grant of calls to a number. These are entries, and
-- no verdicts: a number is listed while a block on it, or on an equivalent form of it,
-- has neither ended nor a later grant.
CREATE VIEW do_not_call AS
SELECT
  substr(a.hex, 1, 8) || '-' || substr(a.hex, 9, 4) || '-' || substr(a.hex, 13, 4) || '-'
    || substr(a.hex, 17, 4) || '-' || substr(a.hex, 21) AS account_id,
  j.sequence,
  j.json ->> 'type' AS type,
  j.json ->> 'phone_number' AS phone_number, -- NULL: erased
  j.json ->> 'at' AS dnc_date,
  j.json ->> 'expires_at' AS expires_at,
  strftime('%Y-%m-%dT%H:%M:%S', j.at / 1000000, 'unixepoch') || printf('.%06dZ', j.at % 1000000) AS recorded_at,
  j.json ->> 'source' AS source,
  j.json ->> 'reason' AS dnc_reason,
  j.json ->> 'reference' AS reference,
  j.json ->> 'contact_id' AS contact_id,
  j.json ->> 'actor' AS actor
FROM (SELECT *, iif(json_valid(data), data, '{}') AS json FROM journal WHERE kind = 2) AS j
JOIN (SELECT n, lower(hex(id)) AS hex FROM account) AS a ON a.n = j.account
WHERE j.json ->> 'type' IN ('block', 'grant');

-- One row for each entry of the journal, as it is kept.
CREATE VIEW journal_entry AS
SELECT
  substr(a.hex, 1, 8) || '-' || substr(a.hex, 9, 4) || '-' || substr(a.hex, 13, 4) || '-'
    || substr(a.hex, 17, 4) || '-' || substr(a.hex, 21) AS account_id,
  j.sequence,
  CASE j.kind WHEN 1 THEN 'event' WHEN 2 THEN 'do_not_call' WHEN 3 THEN 'erasure' END AS kind,
  lower(hex(j.subject)) AS subject,
  strftime('%Y-%m-%dT%H:%M:%S', j.at / 1000000, 'unixepoch') || printf('.%06dZ', j.at % 1000000) AS at,
  strftime('%Y-%m-%dT%H:%M:%S', j.ends_at / 1000000, 'unixepoch') || printf('.%06dZ', j.ends_at % 1000000) AS ends_at,
  j.data
FROM journal AS j
JOIN (SELECT n, lower(hex(id)) AS hex FROM account) AS a ON a.n = j.account;

-- One row for each change of a contact that was recorded. Changes are NULL where
-- the type has none, and where a person was erased.
CREATE VIEW contact_event AS
SELECT
  substr(a.hex, 1, 8) || '-' || substr(a.hex, 9, 4) || '-' || substr(a.hex, 13, 4) || '-'
    || substr(a.hex, 17, 4) || '-' || substr(a.hex, 21) AS account_id,
  e.sequence,
  strftime('%Y-%m-%dT%H:%M:%S', e.at / 1000000, 'unixepoch') || printf('.%06dZ', e.at % 1000000) AS at,
  json_extract(e.data, '$.type') AS type,
  substr(e.hex, 1, 8) || '-' || substr(e.hex, 9, 4) || '-' || substr(e.hex, 13, 4) || '-'
    || substr(e.hex, 17, 4) || '-' || substr(e.hex, 21, 12) AS contact_id,
  json_extract(e.data, '$.version') AS version,
  coalesce(json_extract(e.data, '$.actor.name'), json_extract(e.data, '$.actor.key_id'), json_extract(e.data, '$.actor.kind')) AS actor,
  json_extract(e.data, '$.source') AS source,
  json_extract(e.data, '$.changes') AS changes
FROM (SELECT account, sequence, at, lower(hex(subject)) AS hex, iif(json_valid(data), data, '{}') AS data FROM journal WHERE kind = 1) AS e
JOIN (SELECT n, lower(hex(id)) AS hex FROM account) AS a ON a.n = e.account;
