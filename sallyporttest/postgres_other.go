//go:build !unix

package sallyporttest

import (
	"errors"
	"testing"
)

func newDatabase(testing.TB) (string, error) {
	return "", errors.New("these tests start one on Unix only")
}
