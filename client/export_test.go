package client

import (
	"context"
	"time"
)

// Hooked is c with another clock and another way to wait.
func Hooked(c *Client, now func() time.Time, sleep func(context.Context, time.Duration) error) *Client {
	h := *c
	h.hooks = hooks{now: now, sleep: sleep}
	return &h
}

// Problem is what a refusal is read into.
type Problem = problem
