-- Times are microseconds since the year 1 in UTC. Go's zero time is 0:
--   SELECT timestamp '0001-01-01' + created_at / 1000000 * interval '1 second'
-- 0 and '' are Go's zero values: no team, no time, no text. Text is kept as it is
-- and compared for equality alone, so that no collation matters.

-- The directory is small and read with every call. A key is found before its
-- account is known. Rows of account and team are never removed.
CREATE TABLE account (
  account_id  uuid NOT NULL PRIMARY KEY,
  name        text NOT NULL,
  created_at  bigint NOT NULL,
  disabled_at bigint NOT NULL, -- 0: enabled
  settings_version bigint NOT NULL -- of the newest setting; 0: none
);

CREATE TABLE team (
  account_id uuid NOT NULL REFERENCES account (account_id),
  id         bigint NOT NULL,
  name       text NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY (account_id, id)
);

CREATE TABLE api_key (
  id          uuid NOT NULL PRIMARY KEY,
  hash        bytea NOT NULL UNIQUE, -- SHA-256 of the key, which is stored nowhere
  account_id  uuid NOT NULL REFERENCES account (account_id),
  name        text NOT NULL,
  permissions text NOT NULL, -- JSON array
  team_ids    text NOT NULL, -- JSON array
  all_teams   boolean NOT NULL,
  created_at  bigint NOT NULL,
  expires_at  bigint NOT NULL,
  revoked_at  bigint NOT NULL -- 0: not revoked
);

CREATE INDEX api_key_account ON api_key (account_id, id);

-- The newest value of a name is the one that holds. Rows are never changed.
CREATE TABLE setting (
  account_id uuid NOT NULL REFERENCES account (account_id),
  version    bigint NOT NULL, -- counts all settings of the account
  name       text NOT NULL,
  value      text NOT NULL, -- JSON, byte for byte; '': the setting is gone
  at         bigint NOT NULL,
  actor      text NOT NULL, -- JSON object
  PRIMARY KEY (account_id, version)
);

-- Its row is what a transaction locks for the account.
CREATE TABLE account_state (
  account_id uuid NOT NULL PRIMARY KEY,
  sequence   bigint NOT NULL -- of the newest journal entry; 0: none
);

-- Every key of the tables below begins with account_id. The statements that write
-- contacts check account and team once for many contacts. A foreign key would
-- check them for each.
CREATE TABLE contact (
  account_id       uuid NOT NULL,
  id               uuid NOT NULL,
  first_name       text NOT NULL,
  last_name        text NOT NULL,
  email            text NOT NULL,
  company          text NOT NULL,
  website          text NOT NULL,
  address          text NOT NULL,
  city             text NOT NULL,
  state            text NOT NULL,
  zip_code         text NOT NULL,
  country          text NOT NULL,
  status           text NOT NULL,
  stage            text NOT NULL,
  external_id      text NOT NULL, -- the id that the host's own system has for the person
  team_id          bigint NOT NULL, -- 0: none
  phones           text NOT NULL,   -- JSON: [[id, number, type, primary], ...]; 1 and 0 are true and false
  tags             text NOT NULL,   -- JSON array
  custom_context   text NOT NULL,   -- JSON object, byte for byte
  industry_context text NOT NULL,   -- JSON object, byte for byte
  search           text NOT NULL,   -- what a search looks through, folded
  created_at       bigint NOT NULL,
  updated_at       bigint NOT NULL,
  version          bigint NOT NULL,
  deleted_at       bigint NOT NULL, -- 0: not deleted
  PRIMARY KEY (account_id, id)
);

-- Deleted contacts alone.
CREATE INDEX contact_deleted ON contact (account_id, id, deleted_at) WHERE deleted_at <> 0;

-- Where contacts are found by phone number, e-mail address and tag. A value is a
-- byte for the kind and 15 bytes of a SHA-256. It is short and tells nothing.
CREATE TABLE contact_lookup (
  account_id uuid NOT NULL,
  value      uuid NOT NULL,
  contact_id uuid NOT NULL,
  PRIMARY KEY (account_id, value, contact_id)
);

-- A call that is sent again with the same key is the same call. A row that has
-- ended counts as absent.
CREATE TABLE idempotency (
  account_id uuid NOT NULL,
  key        bytea NOT NULL, -- SHA-256 of the caller's key
  input      bytea NOT NULL, -- SHA-256 of the input
  result     text NOT NULL,  -- JSON
  ends_at    bigint NOT NULL,
  PRIMARY KEY (account_id, key)
);

CREATE INDEX idempotency_ends_at ON idempotency (account_id, ends_at);

-- What happened in an account. Entries are appended, and numbered in the order of
-- the commits. Only those of kind 1 are ever removed.
CREATE TABLE journal (
  account_id uuid NOT NULL,
  sequence   bigint NOT NULL,
  kind       smallint NOT NULL, -- 1 event, 2 do-not-call, 3 erasure
  head       bigint NOT NULL,   -- the first 8 bytes of subject
  subject    bytea NOT NULL,
  at         bigint NOT NULL,
  ends_at    bigint NOT NULL,   -- 0: never
  data       text NOT NULL,     -- JSON, byte for byte
  PRIMARY KEY (account_id, sequence)
);

CREATE INDEX journal_subject ON journal (account_id, kind, head);

CREATE INDEX journal_ends_at ON journal (account_id, ends_at) WHERE kind = 1 AND ends_at <> 0;

CREATE INDEX journal_erasure ON journal (account_id, sequence) WHERE kind = 3; -- few among many

-- Entries that are not events stay. An erasure may remove the number and the notes
-- of a do-not-call entry, and nothing else of it. Its own receipt never changes.
-- Nothing fires for an INSERT. On Citus, which spreads no table with triggers, Open
-- drops this.
CREATE FUNCTION journal_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE -- type, at, expires_at, phone_number; text that is no JSON has none
  was  text[] := ARRAY[NULL, NULL, NULL, NULL];
  will text[] := was;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    BEGIN
      was := ARRAY[OLD.data::json ->> 'type', OLD.data::json ->> 'at', OLD.data::json ->> 'expires_at', OLD.data::json ->> 'phone_number'];
    EXCEPTION WHEN data_exception THEN NULL;
    END;
    BEGIN
      will := ARRAY[NEW.data::json ->> 'type', NEW.data::json ->> 'at', NEW.data::json ->> 'expires_at', NEW.data::json ->> 'phone_number'];
    EXCEPTION WHEN data_exception THEN NULL;
    END;
    IF OLD.kind = 2
      AND (NEW.account_id, NEW.sequence, NEW.kind, NEW.head, NEW.subject, NEW.at, NEW.ends_at)
        = (OLD.account_id, OLD.sequence, OLD.kind, OLD.head, OLD.subject, OLD.at, OLD.ends_at)
      AND will[1:3] = was[1:3]
      AND coalesce(will[4], was[4]) IS NOT DISTINCT FROM was[4]
    THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE 'the ledger is append-only; an erasure may remove a number and its notes';
END $$;

CREATE TRIGGER journal_keeps BEFORE UPDATE OR DELETE ON journal
FOR EACH ROW WHEN (OLD.kind <> 1) EXECUTE FUNCTION journal_keeps();

CREATE TRIGGER journal_stays BEFORE TRUNCATE ON journal
FOR EACH STATEMENT EXECUTE FUNCTION journal_keeps();

-- One row for each change of a contact that was recorded, for people. The program
-- never reads it. Changes are NULL where the type has none, and where a person was
-- erased.
CREATE VIEW contact_event AS
SELECT
  account_id,
  sequence,
  timestamp '0001-01-01' + at / 1000000 * interval '1 second' + at % 1000000 * interval '1 microsecond' AS at,
  data::json ->> 'type' AS type,
  encode(substr(subject, 1, 16), 'hex')::uuid AS contact_id,
  (data::json ->> 'version')::bigint AS version,
  coalesce(data::json #>> '{actor,name}', data::json #>> '{actor,key_id}', data::json #>> '{actor,kind}') AS actor,
  data::json ->> 'source' AS source,
  data::json ->> 'changes' AS changes
FROM journal
WHERE kind = 1;

-- For people; the program never reads it. One row for each block and each grant of
-- calls to a number. These are entries, and no verdicts: a number is listed while a
-- block on it, or on an equivalent form of it, has neither ended nor a later grant.
CREATE VIEW do_not_call AS
SELECT
  account_id, sequence,
  data::jsonb ->> 'type' AS type,
  data::jsonb ->> 'phone_number' AS phone_number, -- NULL: erased
  data::jsonb ->> 'at' AS dnc_date,
  data::jsonb ->> 'expires_at' AS expires_at,
  timestamp '0001-01-01' + at / 1000000 * interval '1 second' + at % 1000000 * interval '1 microsecond' AS recorded_at,
  data::jsonb ->> 'source' AS source,
  data::jsonb ->> 'reason' AS dnc_reason,
  data::jsonb ->> 'reference' AS reference,
  data::jsonb ->> 'contact_id' AS contact_id,
  data::jsonb ->> 'actor' AS actor
FROM journal
WHERE kind = 2 AND data::jsonb ->> 'type' IN ('block', 'grant');
