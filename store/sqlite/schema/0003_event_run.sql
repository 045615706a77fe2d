-- Events of contacts that one transaction created: they differ in contact and time
-- alone, so up to a hundred share a row. One that shares none is in journal.
CREATE TABLE event_run (
  n        INTEGER PRIMARY KEY,
  account  INTEGER NOT NULL REFERENCES account (n),
  sequence INTEGER NOT NULL, -- of the first; the others follow it without a gap
  contacts BLOB NOT NULL,    -- their ids, 16 bytes each
  lowest   INTEGER NOT NULL, -- the least of the first 8 bytes of the ids
  highest  INTEGER NOT NULL, -- the greatest of them
  at       INTEGER NOT NULL, -- of the first
  later    TEXT NOT NULL,    -- JSON array: how many microseconds later than the first each is
  kept     INTEGER NOT NULL, -- for how many microseconds each is kept
  ends_at  INTEGER NOT NULL, -- of the one that ends last
  data     TEXT NOT NULL,    -- JSON; empty: all are replaced
  replaced TEXT,             -- JSON array: what replaced the data of each; NULL: nothing
  UNIQUE (account, sequence)
) STRICT;

-- Ids of new contacts ascend, in all accounts. So a contact is in one of the few rows that
-- were made when it was, and new rows go to the end of the index, which is one page.
CREATE INDEX event_run_contact ON event_run (lowest, highest, account);
CREATE INDEX event_run_ends_at ON event_run (ends_at);

-- The views are for people with the sqlite3 shell; the program never reads them.

-- One row for each entry, whichever table has it.
CREATE VIEW journal_all AS
SELECT account, sequence, kind, lower(hex(subject)) AS hex, at, ends_at, data FROM journal
UNION ALL
SELECT r.account, r.sequence + e.key, 1, lower(hex(substr(r.contacts, 1 + 16 * e.key, 16))) || printf('%032d', 0),
  r.at + e.value, r.at + e.value + r.kept, coalesce(iif(json_valid(r.replaced), r.replaced, '[]') ->> e.key, r.data)
FROM event_run AS r, json_each(iif(json_valid(r.later), r.later, '[]')) AS e;

DROP VIEW journal_entry;
CREATE VIEW journal_entry AS
SELECT
  substr(a.hex, 1, 8) || '-' || substr(a.hex, 9, 4) || '-' || substr(a.hex, 13, 4) || '-'
    || substr(a.hex, 17, 4) || '-' || substr(a.hex, 21) AS account_id,
  j.sequence,
  CASE j.kind WHEN 1 THEN 'event' WHEN 2 THEN 'do_not_call' WHEN 3 THEN 'erasure' END AS kind,
  j.hex AS subject,
  strftime('%Y-%m-%dT%H:%M:%S', j.at / 1000000, 'unixepoch') || printf('.%06dZ', j.at % 1000000) AS at,
  strftime('%Y-%m-%dT%H:%M:%S', j.ends_at / 1000000, 'unixepoch') || printf('.%06dZ', j.ends_at % 1000000) AS ends_at,
  j.data
FROM journal_all AS j
JOIN (SELECT n, lower(hex(id)) AS hex FROM account) AS a ON a.n = j.account;

DROP VIEW contact_event;
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
FROM (SELECT account, sequence, at, hex, iif(json_valid(data), data, '{}') AS data FROM journal_all WHERE kind = 1) AS e
JOIN (SELECT n, lower(hex(id)) AS hex FROM account) AS a ON a.n = e.account;
