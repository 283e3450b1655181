// Package job is the work that the web process hands out and the worker does.
package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// A Job is one unit of work.
type Job struct {
	ID      int    `json:"id"`
	Payload string `json:"payload"`
}

// New returns the job with the given number.
func New(id int) Job {
	return Job{ID: id, Payload: fmt.Sprintf("payload of job %d", id)}
}

// Do returns the hex SHA-256 of the job's JSON form.
func (j Job) Do() (string, error) {
	b, err := json.Marshal(j)
	if err != nil {
		return "", fmt.Errorf("encoding job %d: %w", j.ID, err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
