package leaked

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"
)

// The least and most of a word: shorter ones nobody can choose, longer ones are no
// passwords (std-1, std-2).
const (
	leastRunes = 8
	mostBytes  = 4096
)

// window is how much of the file is held in memory while it is made, in bytes; a
// larger file takes several passes over the lists.
const window = 256 << 20

// Built is what came of Build.
type Built struct {
	Entries uint64 `json:"entries"`
	Skipped uint64 `json:"skipped"` // empty, shorter than 8 characters or longer than 4,096 bytes
	Bytes   int64  `json:"bytes"`   // of the file
}

// Build makes the file at out from lists, a word or a hash a line. The first line of
// a list says which: 40 hexadecimal digits, perhaps with ":" and a count, are a
// SHA-1, and then every line must be one. Each list is read at least twice, so it
// must be a file. Memory is bounded (256 MiB and one line), whatever the size of the
// lists. The same entries give the same file, in whatever order. Out is written
// beside its place first and then moved, so that it is whole or not there.
func Build(ctx context.Context, out string, lists ...string) (Built, error) {
	return build(ctx, window, out, lists)
}

func build(ctx context.Context, window int, out string, lists []string) (Built, error) {
	var b Built
	count := func([sha1.Size]byte) { b.Entries++ }
	skipped, err := readAll(ctx, lists, count)
	if err != nil {
		return Built{}, err
	}
	if b.Entries == 0 {
		return Built{}, errors.New("the lists have no entry that could be a password")
	}
	b.Skipped = skipped
	blocks := (b.Entries*density + blockSize*8 - 1) / (blockSize * 8)
	if blocks > maxBlocks {
		return Built{}, errors.New("the lists have too many entries")
	}
	b.Bytes = headerSize + int64(blocks)*blockSize + sha256.Size
	f, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".*")
	if err != nil {
		return Built{}, err
	}
	err = write(ctx, f, uint64(window/blockSize), blocks, b.Entries, lists)
	if err == nil {
		err = f.Chmod(0o644) // nothing secret: the lists are public
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), out)
	}
	if err != nil {
		os.Remove(f.Name())
		return Built{}, err
	}
	return b, nil
}

// write fills the blocks a window at a time.
func write(ctx context.Context, f *os.File, atOnce, blocks, entries uint64, lists []string) error {
	sum := sha256.New()
	w := io.MultiWriter(f, sum)
	if _, err := w.Write(header(blocks, entries)); err != nil {
		return err
	}
	part := make([]byte, min(atOnce, blocks)*blockSize)
	for from := uint64(0); from < blocks; from += atOnce {
		part = part[:min(atOnce, blocks-from)*blockSize]
		clear(part)
		var seen uint64
		_, err := readAll(ctx, lists, func(h [sha1.Size]byte) {
			seen++
			block, mask := place(h, blocks)
			if block < from || block >= from+uint64(len(part)/blockSize) {
				return
			}
			at := part[(block-from)*blockSize:]
			for i := range mask {
				at[i] |= mask[i]
			}
		})
		if err == nil && seen != entries {
			err = errors.New("a list was changed while it was read; try again")
		}
		if err == nil {
			_, err = w.Write(part)
		}
		if err != nil {
			return err
		}
	}
	_, err := f.Write(sum.Sum(nil))
	return err
}

func readAll(ctx context.Context, lists []string, entry func([sha1.Size]byte)) (skipped uint64, err error) {
	for _, path := range lists {
		n, err := readFile(ctx, path, entry)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		skipped += n
	}
	return skipped, nil
}

func readFile(ctx context.Context, path string, entry func([sha1.Size]byte)) (skipped uint64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, errors.New("is no file that can be read twice; save the list first")
	}
	return readList(ctx, f, entry)
}

// readList gives the hash of every entry of a list.
func readList(ctx context.Context, r io.Reader, entry func([sha1.Size]byte)) (skipped uint64, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	hashes, known := false, false
	for n := uint64(1); ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		line, long, err := readLine(in)
		if err == io.EOF {
			return skipped, nil
		}
		if err != nil {
			return 0, err
		}
		if len(line) == 0 {
			skipped++
			continue
		}
		if !known {
			known = true
			if hashes, err = kindOf(line); err != nil {
				return 0, err
			}
		}
		switch {
		case hashes:
			sum, ok := parseHash(line)
			if !ok || long {
				return 0, fmt.Errorf("line %d is no SHA-1 hash, and the first line is one: the list is damaged", n)
			}
			entry(sum)
		case long || utf8.RuneCount(line) < leastRunes:
			skipped++
		default:
			entry(sha1.Sum(line))
		}
	}
}

// readLine gives a line without its end; long says that it was cut.
func readLine(in *bufio.Reader) (line []byte, long bool, err error) {
	line, err = in.ReadSlice('\n')
	for err == bufio.ErrBufferFull {
		long = true
		_, err = in.ReadSlice('\n')
	}
	if err == io.EOF && (len(line) > 0 || long) {
		err = nil // the last line has no end
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	return line, long || len(line) > mostBytes, err
}

// kindOf says whether a list that begins with line is one of hashes.
func kindOf(line []byte) (hashes bool, err error) {
	digest, _, _ := bytes.Cut(line, []byte(":"))
	raw := make([]byte, hex.DecodedLen(len(digest)))
	_, bad := hex.Decode(raw, digest)
	switch {
	case bad != nil:
		return false, nil
	case len(digest) == 2*sha1.Size:
		return true, nil
	case len(digest) == 32 || len(digest) == 64:
		return false, errors.New("is a list of other hashes than SHA-1 (NTLM, MD5 or SHA-256); get the list of SHA-1 hashes")
	}
	return false, nil
}

// parseHash reads 40 hexadecimal digits, perhaps with ":" and a count.
func parseHash(line []byte) (sum [sha1.Size]byte, ok bool) {
	digest, count, counted := bytes.Cut(line, []byte(":"))
	if len(digest) != 2*sha1.Size || counted && (len(count) == 0 || len(bytes.Trim(count, "0123456789")) > 0) {
		return sum, false
	}
	_, err := hex.Decode(sum[:], digest)
	return sum, err == nil
}
