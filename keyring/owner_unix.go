//go:build unix

package keyring

import (
	"os"
	"syscall"
)

// keepOwner gives the new file to whom the old one belongs: who rotates as root
// must not take the keys away from the server.
func keepOwner(old, next string) error {
	from, err := os.Stat(old)
	if err != nil {
		return err
	}
	to, err := os.Stat(next)
	if err != nil {
		return err
	}
	a, ok1 := from.Sys().(*syscall.Stat_t)
	b, ok2 := to.Sys().(*syscall.Stat_t)
	if !ok1 || !ok2 || a.Uid == b.Uid && a.Gid == b.Gid {
		return nil
	}
	err = os.Chown(next, int(a.Uid), int(a.Gid))
	if a.Uid == b.Uid {
		return nil // another group, to which nobody may give it: mode 0600 gives a group nothing
	}
	return err
}
