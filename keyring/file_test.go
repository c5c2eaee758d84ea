package keyring

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
)

func TestCreateAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyring")
	k, err := Create(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if mode := must(os.Stat(path)).Mode(); runtime.GOOS != "windows" && mode != 0o600 {
		t.Errorf("mode %v", mode)
	}
	again, err := Load(path)
	if err != nil || again.Text() != k.Text() || again.Verify(k.CheckValue()) != nil {
		t.Fatal(err)
	}
	before := must(os.ReadFile(path))
	if _, err := Create(path, nil); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("second Create: %v", err)
	}
	if !slices.Equal(must(os.ReadFile(path)), before) {
		t.Error("Create changed a keyring")
	}
	link := path + ".link"
	os.Symlink(path+".nowhere", link)
	if _, err := Create(link, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create wrote through a dangling link: %v", err)
	}
	if _, err := Create(filepath.Join(t.TempDir(), "no", "keyring"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	broken := filepath.Join(t.TempDir(), "keyring")
	if _, err := Create(broken, iotest.ErrReader(errors.New("no entropy"))); err == nil {
		t.Error("Create without randomness")
	}
	if _, err := os.Lstat(broken); !errors.Is(err, fs.ErrNotExist) {
		t.Error("Create left a file behind")
	}
}

// Of many that create at once, one does (rul-38: two sets of keys would lose one half of the data).
func TestCreateOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyring")
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := Create(path, nil); err == nil {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d keyrings made", made.Load())
	}
	if _, err := Load(path); err != nil {
		t.Error(err)
	}
}

// Whom the file system lets near the keys; each refusal names its cure.
func TestLoadRefusesPlaces(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	text := generate(t).Text()
	write := func(t *testing.T, mode fs.FileMode) string {
		path := filepath.Join(t.TempDir(), "keyring")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	folder := func(t *testing.T, mode fs.FileMode) string {
		path := write(t, 0o600)
		if err := os.Chmod(filepath.Dir(path), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(t *testing.T, to string) string {
		path := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tc := range map[string]struct {
		path string
		want string // empty: it loads
	}{
		"0600":              {write(t, 0o600), ""},
		"0400":              {write(t, 0o400), ""},
		"0644":              {write(t, 0o644), "chmod 600 "},
		"0640":              {write(t, 0o640), "chmod 600 "},
		"0604":              {write(t, 0o604), "chmod 600 "},
		"0620":              {write(t, 0o620), "chmod 600 "},
		"0777":              {write(t, 0o777), "mode 0777"},
		"folder 0777":       {folder(t, 0o777), "chmod o-w "},
		"folder 1777":       {folder(t, 0o777|fs.ModeSticky), ""},
		"link":              {link(t, write(t, 0o600)), ""}, // Kubernetes mounts secrets as links
		"link to 0644":      {link(t, write(t, 0o644)), "chmod 600 "},
		"link into 0777":    {link(t, folder(t, 0o777)), "chmod o-w "},
		"link to folder":    {link(t, t.TempDir()), "is a folder"},
		"link to nothing":   {link(t, "/nowhere/keyring"), "does not exist"},
		"link to device":    {link(t, os.DevNull), "not a regular file"},
		"folder":            {t.TempDir(), "is a folder"},
		"missing":           {filepath.Join(t.TempDir(), "keyring"), "sallyport init"},
		"text for path":     {text, "not the path"},
		"one line for path": {strings.ReplaceAll(text, "\n", ";"), "not the path"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := Load(tc.path)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || k != nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("Load = %v, want %q", err, tc.want)
			}
			noKeys(t, text, err)
		})
	}
	if _, err := Create(text, nil); err == nil || strings.Contains(err.Error(), "k_") {
		t.Error(err)
	}
	if err := generate(t).Replace(text, generate(t)); err == nil || strings.Contains(err.Error(), "k_") {
		t.Error(err)
	}
}

// A named pipe without a writer must not hang the start.
func TestLoadPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := exec.Command("mkfifo", "-m", "600", path).Run(); err != nil {
		t.Skip(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Error(err)
	}
}

func TestLoadRefusesContent(t *testing.T) {
	text := generate(t).Text()
	for name, tc := range map[string]struct{ content, want string }{
		"empty":     {"", "empty"},
		"blank":     {" \n\n", "empty"},
		"zeros":     {strings.Repeat("\x00", 4096), "line 1 holds bytes"}, // what a crash leaves on some file systems
		"too large": {text + strings.Repeat("#\n", maxText), "longer than"},
		"cut":       {text[:len(text)/2], "restore"},
		"other":     {"-----BEGIN PRIVATE KEY-----\n", "not a keyring"},
	} {
		path := filepath.Join(t.TempDir(), "keyring")
		if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keyring")
	old := must(Create(path, nil))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	next := rotated(t, old)
	if err := next.Replace(link, old); err != nil {
		t.Fatal(err)
	}
	if must(Load(path)).Text() != next.Text() || must(os.Lstat(link)).Mode()&fs.ModeSymlink == 0 {
		t.Error("the link must stay and its target change")
	}
	// A second rotation that began before the first would lose the new key.
	if err := rotated(t, old).Replace(path, old); err == nil || !strings.Contains(err.Error(), "changed meanwhile") {
		t.Errorf("lost update: %v", err)
	}
	if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rotated(t, next).Replace(path, next); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path+".new") {
		t.Errorf("two at once: %v", err)
	}
	os.Remove(path + ".new")
	if must(Load(path)).Text() != next.Text() {
		t.Error("a refused Replace changed the file")
	}
	if err := next.Replace(path+".none", next); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if names := must(os.ReadDir(dir)); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}

	var done atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		k := rotated(t, next)
		wg.Go(func() {
			if k.Replace(path, next) == nil {
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if done.Load() != 1 {
		t.Errorf("%d of 8 rotations at once were written", done.Load())
	}
}
