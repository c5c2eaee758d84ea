// Package leaked says whether a password is among those that have leaked
// somewhere: from a file that the operator built from a published list, or by
// asking a service for a range of hashes.
//
// # Flow
//
// [Build] reads lists (plain words, or SHA-1 hashes as published lists have them)
// and writes one file: a blocked Bloom filter with a header and a checksum.
// [Open] reads the whole file once and refuses one that is not exactly what Build
// wrote. [List.Has] then reads 64 bytes of it for each question, so that the file
// takes no memory of ours whatever its size. [Range] asks a service instead:
// it sends the first five digits of a SHA-1 and compares the rest here. [Any] puts
// several together.
//
// A filter never misses a password of the list, and takes about one in 500 others
// for one of it: that person chooses another password. SHA-1 is what the lists are
// made of; nothing here rests on its strength.
//
// # Threats
//
//   - Known passwords (NIST SP 800-63B-4 3.1.1.2, ASVS 6.2.4 and 6.2.12): what is in
//     a list is refused, as typed and case-folded.
//   - A file that is cut short, altered or of another format would let everything
//     through unseen: Open refuses it, and the server does not start.
//   - A list or service that fails is never a yes: Has gives an error, and the
//     caller refuses the password for now.
//   - The service learns who changes a password when (ruling 32 stands for where we
//     connect to): five hexadecimal digits are shared by about 1,000 leaked
//     passwords, and padding hides which of the answers it was from whoever sees the
//     length.
//   - No error and no log holds a password, its hash, or any part of them.
package leaked

import (
	"context"
	"crypto/sha1"
)

// Source is one way to know; *List and *Range are. An error says that it could not
// be found out.
type Source interface {
	Has(ctx context.Context, password string) (bool, error)
}

// Any is true of a password that one of the sources has. They are asked in order;
// one that fails ends the question, unless an earlier one said yes.
func Any(sources ...Source) Source { return several(sources) }

type several []Source

func (s several) Has(ctx context.Context, password string) (bool, error) {
	for _, one := range s {
		if yes, err := one.Has(ctx, password); yes || err != nil {
			return yes, err
		}
	}
	return false, nil
}

func hash(password string) [sha1.Size]byte { return sha1.Sum([]byte(password)) }
