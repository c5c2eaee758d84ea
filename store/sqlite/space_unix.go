//go:build linux || darwin || freebsd

package sqlite

import "golang.org/x/sys/unix"

// diskSpace counts what is free for those who are not root.
func diskSpace(dir string) (free, total uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return uint64(max(int64(st.Bavail), 0)) * uint64(st.Bsize), uint64(st.Blocks) * uint64(st.Bsize), nil
}
