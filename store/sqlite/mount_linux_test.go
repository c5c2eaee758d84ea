package sqlite

import (
	"strings"

	"golang.org/x/sys/unix"
)

// mount mounts a tmpfs, or changes one with "remount,ro" and "remount,rw".
func mount(dir, options string) error {
	switch options {
	case "remount,ro":
		return unix.Mount("none", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
	case "remount,rw":
		return unix.Mount("none", dir, "", unix.MS_REMOUNT, "")
	}
	return unix.Mount("none", dir, "tmpfs", 0, strings.TrimSpace(options))
}

func unmount(dir string) { unix.Unmount(dir, unix.MNT_DETACH) }
