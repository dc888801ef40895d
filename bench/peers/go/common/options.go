// Package common has what the load generators in Go share: the options, the payload, the pacing,
// and the line of numbers that each of them prints.
package common

import (
	"flag"
	"fmt"
	"os"
	"time"
)

// Options of a load generator; the same in every language.
type Options struct {
	Bootstrap   string
	Topic       string
	Compression string
	Data        string
	Records     int
	Warmup      int
	Size        int
	LingerMs    int
	BatchBytes  int
	BufferBytes int
	Acks        int
	Partitions  int
	// Rate is in records per second; 0 when records are not paced.
	Rate       int
	Keyed      bool
	Idempotent bool
	Latency    bool
}

// Parse reads the command line, and ends the program when it is wrong.
func Parse() *Options {
	o := &Options{}
	flag.StringVar(&o.Bootstrap, "bootstrap", "127.0.0.1:29092", "address of a broker")
	flag.StringVar(&o.Topic, "topic", "bench", "topic to fill")
	flag.StringVar(&o.Compression, "compression", "none", "none, gzip, snappy, lz4 or zstd")
	flag.StringVar(&o.Data, "data", "data", "folder of the payload files")
	flag.IntVar(&o.Records, "records", 1000000, "records to send and to measure")
	flag.IntVar(&o.Warmup, "warmup", 200000, "records to send before, not measured")
	flag.IntVar(&o.Size, "size", 100, "bytes of each value")
	flag.IntVar(&o.LingerMs, "linger-ms", 5, "how long a batch waits for more records")
	flag.IntVar(&o.BatchBytes, "batch-bytes", 16384, "bytes of a batch")
	flag.IntVar(&o.BufferBytes, "buffer-bytes", 32<<20, "bytes of records that may wait")
	flag.IntVar(&o.Acks, "acks", -1, "acknowledgements to wait for: -1 or 1")
	flag.IntVar(&o.Partitions, "partitions", 4, "partitions of the topic")
	flag.IntVar(&o.Rate, "rate", 0, "records per second, and the time of each from when it was due")
	keyed := flag.Int("keyed", 0, "1: with 8-byte keys")
	idempotent := flag.Int("idempotent", 1, "1: with a producer id and sequence numbers")
	latency := flag.Int("latency", 0, "1: one record in flight, and the time of each")
	flag.Parse()
	o.Keyed, o.Idempotent, o.Latency = *keyed == 1, *idempotent == 1, *latency == 1
	if err := o.check(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return o
}

func (o *Options) check() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case o.Records < 1 || o.Warmup < 0 || o.Size < 1:
		return fmt.Errorf("--records and --size must be at least 1, --warmup at least 0")
	case o.Acks != -1 && o.Acks != 1:
		return fmt.Errorf("--acks %d: must be -1 or 1", o.Acks)
	case o.Partitions < 1:
		return fmt.Errorf("--partitions must be at least 1")
	case o.Rate < 0 || o.Rate > 1000000000:
		return fmt.Errorf("--rate %d: must be from 1 to 1000000000", o.Rate)
	case o.Rate > 0 && o.Latency:
		return fmt.Errorf("--rate and --latency exclude each other")
	}
	return nil
}

// Linger is the linger to be set: a lone record has none.
func (o *Options) Linger() time.Duration {
	if o.Latency {
		return 0
	}
	return time.Duration(o.LingerMs) * time.Millisecond
}

// Codec is what the table has under the compression's name.
func Codec[C any](o *Options, codecs map[string]C) C {
	codec, found := codecs[o.Compression]
	if !found {
		Check(fmt.Errorf("--compression %q: must be none, gzip, snappy, lz4 or zstd", o.Compression))
	}
	return codec
}

// Check ends the program if there is an error.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
