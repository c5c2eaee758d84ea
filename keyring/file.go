package keyring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Windows has neither permission bits nor a sync of folders; there the folder's access list protects the file.
const posix = runtime.GOOS != "windows"

// Create makes a keyring from r (nil means crypto/rand) and writes it to a new file of mode 0600. It never overwrites: who loses the
// old keys loses all that they sealed. When it returns, file and folder are synced.
func Create(path string, r io.Reader) (*Keyring, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	k, err := Generate(r)
	if err != nil {
		return nil, err
	}
	err = writeNew(path, k.Text())
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("keyring: %s exists and is left as it is: without its keys nothing sealed could be read; use it, or choose another path (%w)", path, fs.ErrExist)
	}
	if err != nil {
		return nil, fmt.Errorf("keyring: create: %w", err)
	}
	if err := syncFolder(path); err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("keyring: create: sync folder: %w", err)
	}
	return k, nil
}

// Load reads a keyring file. It refuses what others could read or exchange, what is no regular file (a link to one is followed, since
// Kubernetes mounts secrets so), and anything cut off or changed; the error says what to do and holds no key.
func Load(path string) (*Keyring, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	k, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// Replace writes this keyring over the file from which old was loaded, whole or not at all. It refuses if the file no longer holds
// exactly old, so that of two rotations at once none is lost.
func (k *Keyring) Replace(path string, old *Keyring) error {
	if err := checkPath(path); err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("keyring: replace: %w", err)
	}
	// The new file is the lock as well: O_EXCL lets one writer in.
	temp := target + ".new"
	if err := writeNew(temp, k.Text()); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keyring: %s exists: another change is under way, or one was cut off; if none is, remove that file (%w)", temp, fs.ErrExist)
	} else if err != nil {
		return fmt.Errorf("keyring: replace: %w", err)
	}
	if err := keepOwner(target, temp); err != nil {
		os.Remove(temp)
		return fmt.Errorf("keyring: replace: the new file would not be the server's: %w", err)
	}
	now, err := Load(target)
	if err == nil && now.Text() != old.Text() {
		err = fmt.Errorf("keyring: %s was changed meanwhile; load it again and repeat", path)
	}
	if err == nil {
		err = os.Rename(temp, target)
	}
	if err != nil {
		os.Remove(temp) // never after the rename: the name may be the next writer's by then
		return fmt.Errorf("keyring: replace: %w", err)
	}
	if err := syncFolder(target); err != nil {
		return fmt.Errorf("keyring: replace: sync folder: %w", err)
	}
	return nil
}

// checkPath catches a keyring given where a path belongs, before an error of the system repeats it.
func checkPath(path string) error {
	if strings.Contains(path, textFamily+"v") && strings.ContainsAny(path, ";\n") {
		return errors.New("keyring: this is a keyring, not the path of one; set the setting for keyring text instead")
	}
	return nil
}

func readFile(path string) (string, error) {
	// O_NONBLOCK: opening a pipe must not hang.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("keyring: %s does not exist; put the keyring there, or, if this installation has no data yet, run `sallyport init` (%w)", path, fs.ErrNotExist)
	}
	if err != nil {
		return "", fmt.Errorf("keyring: load: %w", err)
	}
	defer f.Close()
	info, err := f.Stat() // of the open file: what is checked is what is read
	if err != nil {
		return "", fmt.Errorf("keyring: load: %w", err)
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return "", fmt.Errorf("keyring: %s is a folder; give the path of the file", path)
	case !mode.IsRegular():
		return "", fmt.Errorf("keyring: %s is not a regular file; give the path of one", path)
	case posix && mode.Perm()&0o077 != 0:
		return "", fmt.Errorf("keyring: %s has mode %04o: other users of this machine can reach the keys; run `chmod 600 %s`, and rotate the keys if someone may have read them", path, mode.Perm(), path)
	case info.Size() > maxText:
		return "", fmt.Errorf("keyring: %s is longer than %d bytes: this is not a keyring", path, maxText)
	}
	if err := checkFolders(path); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return "", fmt.Errorf("keyring: load: %w", err)
	}
	return string(text), nil
}

// checkFolders refuses a file, or a link to one, in a folder where anyone could put another in its place.
func checkFolders(path string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("keyring: load: %w", err)
	}
	for _, p := range []string{path, target} {
		dir := filepath.Dir(p)
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("keyring: load: %w", err)
		}
		if mode := info.Mode(); posix && mode.Perm()&0o002 != 0 && mode&fs.ModeSticky == 0 {
			return fmt.Errorf("keyring: anyone can write to the folder %s and exchange the keyring in it; run `chmod o-w %s`", dir, dir)
		}
	}
	return nil
}

// writeNew writes and syncs a file that must not exist, and leaves none behind if it fails.
func writeNew(path, text string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(path)
		}
	}()
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// syncFolder makes the name of a new file survive a loss of power.
func syncFolder(path string) error {
	if !posix {
		return nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
