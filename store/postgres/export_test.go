package postgres

import "context"

// CommitError is commitError.
func CommitError(err error) error { return commitError(err) }

// Classify is classify.
func Classify(ctx context.Context, err error) error { return classify(ctx, err) }
