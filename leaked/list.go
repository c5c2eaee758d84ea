package leaked

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"time"
)

// The format: a header of 64 bytes, blocks of 64 bytes, and the SHA-256 of both.
const (
	magic      = "Sallyport leaked passwords\n"
	version    = 1
	headerSize = 64
	blockSize  = 64
	probes     = 8  // bits of a block for each password
	density    = 16 // bits of the file for each password
	maxBlocks  = 1 << 32
)

// header is where a file says what it is: magic, version, blocks, entries.
func header(blocks, entries uint64) []byte {
	h := make([]byte, headerSize)
	copy(h, magic)
	binary.BigEndian.PutUint32(h[32:], version)
	binary.BigEndian.PutUint64(h[40:], blocks)
	binary.BigEndian.PutUint64(h[48:], entries)
	return h
}

// place is the block of a hash, and the bits in it. Blocks follow the order of
// hashes, so that a sorted list is written from front to back.
func place(sum [sha1.Size]byte, blocks uint64) (block uint64, mask [blockSize]byte) {
	block, _ = bits.Mul64(binary.BigEndian.Uint64(sum[:]), blocks)
	// 8 times 9 bits of what is left.
	for i := range probes {
		at := i * 9
		n := uint(binary.BigEndian.Uint16(sum[8+at/8:])) >> (7 - at%8) & 511
		mask[n/8] |= 1 << (n % 8)
	}
	return block, mask
}

// List is an open file. It is safe for concurrent use.
type List struct {
	file     *os.File
	blocks   uint64
	entries  uint64
	modified time.Time // when it was checked
}

// Open reads and checks a file that Build wrote. It takes a few seconds for each
// gigabyte. The file must stay as it is; a new one takes its place by renaming,
// and the server that has the old one open goes on with it. Written over in its
// place, it answers nothing any more until it is opened anew.
func Open(path string) (*List, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("there is no such file; `sallyport passwords build` makes one")
		}
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	l := &List{file: f}
	if err := l.check(); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

var errAgain = errors.New("make it again with `sallyport passwords build`, or copy it again")

func (l *List) check() error {
	info, err := l.file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("is no file")
	}
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	h := make([]byte, headerSize)
	if _, err := io.ReadFull(l.file, h); err != nil || !bytes.HasPrefix(h, []byte(magic)) {
		return errors.New("is no file that `sallyport passwords build` wrote; give it the list, and this setting what it writes")
	}
	if v := binary.BigEndian.Uint32(h[32:]); v != version {
		return fmt.Errorf("is of version %d, and this release reads version %d: %w", v, version, errAgain)
	}
	l.blocks, l.entries = binary.BigEndian.Uint64(h[40:]), binary.BigEndian.Uint64(h[48:])
	if l.blocks == 0 || l.blocks > maxBlocks || !bytes.Equal(h, header(l.blocks, l.entries)) {
		return fmt.Errorf("is damaged: %w", errAgain)
	}
	body := int64(l.blocks) * blockSize
	if want := headerSize + body + sha256.Size; info.Size() != want {
		return fmt.Errorf("has %d bytes and should have %d, so a part of it is missing or too much: %w", info.Size(), want, errAgain)
	}
	l.modified = info.ModTime() // before it is read
	sum := sha256.New()
	sum.Write(h)
	buf := make([]byte, 1<<20)
	if _, err := io.CopyBuffer(struct{ io.Writer }{sum}, io.LimitReader(l.file, body), buf); err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	var stored [sha256.Size]byte
	if _, err := io.ReadFull(l.file, stored[:]); err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if !bytes.Equal(stored[:], sum.Sum(nil)) {
		return fmt.Errorf("is damaged: its checksum is wrong; %w", errAgain)
	}
	return nil
}

// Entries is how many entries the lists had that the file was made of.
func (l *List) Entries() uint64 { return l.entries }

// Has reports whether the list has a password, or seems to.
func (l *List) Has(_ context.Context, password string) (bool, error) {
	block, mask := place(hash(password), l.blocks)
	var have [blockSize]byte
	if _, err := l.file.ReadAt(have[:], headerSize+int64(block)*blockSize); err != nil {
		return false, errors.New("leaked: the file can no longer be read")
	}
	// What was written over it was not checked: it may have no answer where this one had.
	if info, err := l.file.Stat(); err != nil || !info.ModTime().Equal(l.modified) || info.Size() != headerSize+int64(l.blocks)*blockSize+sha256.Size {
		return false, errors.New("leaked: the file was changed since it was checked; start the server again")
	}
	for i := range mask {
		if have[i]&mask[i] != mask[i] {
			return false, nil
		}
	}
	return true, nil
}

// Close ends the use of the file.
func (l *List) Close() error { return l.file.Close() }
