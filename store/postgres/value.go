package postgres

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// yearOne is how many seconds before 1970 the zero time is.
const yearOne = 62135596800

// micros returns a time as the tables hold it: 0 for the zero time.
func micros(t time.Time) int64 {
	return (t.Unix()+yearOne)*1e6 + int64(t.Nanosecond()/1e3)
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.Unix(us/1e6-yearOne, us%1e6*1e3).UTC()
}

func pgUUID(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

// column returns one column of rows as an array for unnest.
func column[R, V any](rows []R, value func(R) V) []V {
	values := make([]V, len(rows))
	for i, r := range rows {
		values[i] = value(r)
	}
	return values
}
