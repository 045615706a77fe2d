-- One row: which -wal file belongs to this file. The number starts at random in
-- each new file and in each backup, and every new log raises it. Open compares the
-- number in the main file with that in the log beside it, and refuses the log of
-- another file. See log.go, which also knows how the row looks in a page.
CREATE TABLE log_number (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  number INTEGER NOT NULL
) STRICT;

INSERT INTO log_number VALUES (1, random() & 0x3fffffffffffffff | 0x4000000000000000);
