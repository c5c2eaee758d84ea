//go:build unix

package sallyporttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is the one of this test binary.
var server = sync.OnceValues(startServer)

var databases atomic.Int64

func newDatabase(t testing.TB) (string, error) {
	dir, err := server()
	if err != nil {
		return "", err
	}
	name := "t" + strconv.FormatInt(databases.Add(1), 10)
	if err := administer(dir, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	t.Cleanup(func() {
		if err := administer(dir, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Log(err)
		}
	})
	return "host=" + dir + " user=postgres dbname=" + name, nil
}

func administer(dir, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, "host="+dir+" user=postgres dbname=postgres")
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// startServer makes and starts a server that listens on a socket in its own
// folder only. SALLYPORT_TEST_PG_DIR chooses where that is; by default in
// memory, where a sync costs nothing.
func startServer() (dir string, err error) {
	bin, err := findPostgres()
	if err != nil {
		return "", err
	}
	parent := os.Getenv("SALLYPORT_TEST_PG_DIR")
	if parent == "" {
		if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
			parent = "/dev/shm"
		}
	}
	if dir, err = os.MkdirTemp(parent, "sallyport-pg-"); err != nil {
		return "", err
	}
	attr, err := asPostgres(dir)
	if err != nil {
		return "", err
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C",
		"-D", filepath.Join(dir, "data"))
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	if err := run(bin, dir, attr); err != nil {
		return "", err
	}
	for end := time.Now().Add(20 * time.Second); ; {
		if err = administer(dir, "SELECT 1"); err == nil || time.Now().After(end) {
			return dir, err
		}
		time.Sleep(20 * time.Millisecond) // no test yet: the server is starting
	}
}

func findPostgres() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(p), nil
	}
	return "", errors.New("neither /usr/lib/postgresql/*/bin nor PATH has it")
}

// asPostgres gives the folder to the user postgres if we are root, as whom
// PostgreSQL refuses to run.
func asPostgres(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, uid, gid)
}

// run starts the server behind a shell that waits for the end of its input: it
// comes when this process ends, however it ends, and then all is cleared away.
func run(bin, dir string, attr *syscall.SysProcAttr) error {
	in, out, err := os.Pipe()
	if err != nil {
		return err
	}
	const script = `"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=200 -c shared_buffers=64MB \
		-c full_page_writes=off -c max_wal_size=256MB -c logging_collector=off >"$2/log" 2>&1 </dev/null &
		read _; kill -QUIT $!; wait; rm -rf "$2"`
	cmd := exec.Command("/bin/sh", "-c", script, "sh", bin, dir)
	cmd.Stdin = in
	cmd.SysProcAttr, cmd.Dir = attr, "/"
	if err := cmd.Start(); err != nil {
		return err
	}
	in.Close()
	go func() {
		cmd.Wait()
		out.Close() // not before: it is open for as long as this process lives
	}()
	return nil
}
