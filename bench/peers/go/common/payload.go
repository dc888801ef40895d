package common

import (
	"fmt"
	"os"
	"path/filepath"
)

const keySize = 8

// Payload is what to send, from files: every load generator sends the very same bytes.
type Payload struct {
	values, keys [][]byte
}

// Load reads the files that the options name, and ends the program when that fails.
func Load(o *Options) *Payload {
	p := &Payload{
		values: pieces(o, fmt.Sprintf("payload-%d.bin", o.Size), o.Size),
		keys:   pieces(o, "keys-8.bin", keySize),
	}
	n := len(p.values)
	if n == 0 || n&(n-1) != 0 || len(p.keys) != n {
		Check(fmt.Errorf("%d values and %d keys in %s: must be as many, and a power of two", n, len(p.keys), o.Data))
	}
	return p
}

func pieces(o *Options, name string, size int) [][]byte {
	all, err := os.ReadFile(filepath.Join(o.Data, name))
	if err != nil {
		Check(fmt.Errorf("%w: make the payload files with gen_payload.py", err))
	}
	var pieces [][]byte
	for ; len(all) >= size; all = all[size:] {
		pieces = append(pieces, all[:size:size])
	}
	return pieces
}

// Value of record i.
func (p *Payload) Value(i int) []byte { return p.values[i&(len(p.values)-1)] }

// Key of record i.
func (p *Payload) Key(i int) []byte { return p.keys[i&(len(p.keys)-1)] }
