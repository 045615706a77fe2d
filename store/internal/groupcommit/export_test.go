package groupcommit

// ExpectsCrowd reports whether the next flight looks for others before it begins.
func (q *Queue[J]) ExpectsCrowd() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.crowd
}
