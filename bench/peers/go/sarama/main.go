// Command sarama puts load on a cluster through sarama: AsyncProducer, and SyncProducer for lone
// records.
package main

import (
	"fmt"
	"os"

	"github.com/IBM/sarama"
	"peers/common"
)

const peer = "sarama"

// overhead is what a waiting record takes beside its value, roughly.
const overhead = 100

func main() {
	o := common.Parse()
	p := common.Load(o)
	message := func(i int) *sarama.ProducerMessage {
		m := &sarama.ProducerMessage{Topic: o.Topic, Value: sarama.ByteEncoder(p.Value(i))}
		if o.Keyed {
			m.Key = sarama.ByteEncoder(p.Key(i))
		}
		return m
	}
	if o.Latency {
		producer, err := sarama.NewSyncProducer([]string{o.Bootstrap}, settings(o))
		common.Check(err)
		common.MeasureEach(peer, o, func(i int) error {
			_, _, err := producer.SendMessage(message(i))
			return err
		})
		return
	}
	producer, err := sarama.NewAsyncProducer([]string{o.Bootstrap}, settings(o))
	common.Check(err)
	if o.Rate > 0 {
		go settle(producer)
		common.MeasurePaced(peer, o, func(i int, settle common.Settle) {
			m := message(i)
			m.Metadata = settle
			producer.Input() <- m
		})
		return
	}
	common.MeasureThroughput(peer, o, func(records int) int64 {
		return fill(producer, o, records, message)
	})
}

func settings(o *common.Options) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.RequiredAcks = sarama.RequiredAcks(o.Acks)
	c.Producer.Idempotent = o.Idempotent
	c.Net.MaxOpenRequests = 5
	if o.Idempotent {
		c.Net.MaxOpenRequests = 1 // sarama refuses anything else
	}
	c.Producer.Return.Successes = true
	c.Producer.Return.Errors = true
	c.Producer.Compression = common.Codec(o, map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "lz4": sarama.CompressionLZ4,
		"snappy": sarama.CompressionSnappy, "zstd": sarama.CompressionZSTD,
	})
	// Also the most that a partition's batch may have; Kafka refuses those of 2 MB as too large.
	c.Producer.MaxMessageBytes = 1000000
	c.ChannelBufferSize = 4096
	if !o.Keyed {
		c.Producer.Partitioner = sarama.NewRoundRobinPartitioner
	}
	if !o.Latency {
		// These thresholds are for a broker, over all of its partitions.
		c.Producer.Flush.Frequency = o.Linger()
		c.Producer.Flush.Bytes = o.BatchBytes * o.Partitions
	}
	return c
}

// fill sends records and waits for all. How many failed.
func fill(producer sarama.AsyncProducer, o *common.Options, records int, message func(int) *sarama.ProducerMessage) int64 {
	// As many may wait as fit into the buffer of the others; sarama has no bound of its own.
	waiting := make(chan struct{}, max(1, o.BufferBytes/(o.Size+overhead)))
	failed := make(chan int64)
	go func() {
		var errors int64
		for range records {
			select {
			case <-producer.Successes():
			case err := <-producer.Errors():
				if errors++; errors == 1 {
					fmt.Fprintln(os.Stderr, "the first error:", err)
				}
			}
			<-waiting
		}
		failed <- errors
	}()
	for i := range records {
		waiting <- struct{}{}
		producer.Input() <- message(i)
	}
	return <-failed
}

// settle tells of the results of paced records.
func settle(producer sarama.AsyncProducer) {
	for {
		select {
		case m := <-producer.Successes():
			m.Metadata.(common.Settle)(nil)
		case err := <-producer.Errors():
			err.Msg.Metadata.(common.Settle)(err)
		}
	}
}
