// Command franz puts load on a cluster through franz-go.
package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
	"peers/common"
)

const peer = "franz"

func main() {
	o := common.Parse()
	p := common.Load(o)
	client, err := kgo.NewClient(settings(o)...)
	common.Check(err)
	record := func(i int) *kgo.Record {
		r := &kgo.Record{Value: p.Value(i)}
		if o.Keyed {
			r.Key = p.Key(i)
		}
		return r
	}
	ctx := context.Background()
	switch {
	case o.Latency:
		common.MeasureEach(peer, o, func(i int) error {
			return client.ProduceSync(ctx, record(i)).FirstErr()
		})
	case o.Rate > 0:
		common.MeasurePaced(peer, o, func(i int, settle common.Settle) {
			client.Produce(ctx, record(i), func(_ *kgo.Record, err error) { settle(err) })
		})
	default:
		common.MeasureThroughput(peer, o, func(records int) int64 {
			return fill(client, records, record)
		})
	}
}

func settings(o *common.Options) []kgo.Opt {
	acks := kgo.AllISRAcks()
	if o.Acks == 1 {
		acks = kgo.LeaderAck()
	}
	settings := []kgo.Opt{
		kgo.SeedBrokers(o.Bootstrap),
		kgo.AllowAutoTopicCreation(),
		kgo.DefaultProduceTopic(o.Topic),
		kgo.RequiredAcks(acks),
		kgo.ProducerLinger(o.Linger()),
		kgo.ProducerBatchMaxBytes(int32(o.BatchBytes)),
		kgo.MaxBufferedRecords(2000000),
		kgo.MaxBufferedBytes(o.BufferBytes),
		kgo.ProducerBatchCompression(common.Codec(o, map[string]kgo.CompressionCodec{
			"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "lz4": kgo.Lz4Compression(),
			"snappy": kgo.SnappyCompression(), "zstd": kgo.ZstdCompression(),
		})),
	}
	if !o.Idempotent {
		settings = append(settings, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(5))
	}
	return settings
}

// fill sends records and waits for all. How many failed.
func fill(client *kgo.Client, records int, record func(int) *kgo.Record) int64 {
	if records == 0 {
		return 0
	}
	var settled, failed atomic.Int64
	all := make(chan struct{})
	count := func(_ *kgo.Record, err error) {
		if err != nil && failed.Add(1) == 1 {
			fmt.Fprintln(os.Stderr, "the first error:", err)
		}
		if settled.Add(1) == int64(records) {
			close(all)
		}
	}
	ctx := context.Background()
	for i := range records {
		client.Produce(ctx, record(i), count)
	}
	<-all
	return failed.Load()
}
