package common

import (
	"math/bits"
	"time"
)

// step is the shortest sleep: then everything is sent that has become due. The same in every load
// generator.
const step = time.Millisecond

// MeasureThroughput has run send so many records and wait for all; it says how many failed.
func MeasureThroughput(peer string, o *Options, run func(records int) int64) {
	run(o.Warmup)
	from := Now()
	errors := run(o.Records)
	printThroughput(peer, o, since(from), errors)
}

// MeasureEach sends one record after the other; send waits for the result.
func MeasureEach(peer string, o *Options, send func(i int) error) {
	for i := range o.Warmup {
		Check(send(i))
	}
	latencies := make([]time.Duration, o.Records)
	var errors int64
	from := Now()
	for i := range latencies {
		begin := time.Now()
		if send(i) != nil {
			errors++
		}
		latencies[i] = time.Since(begin)
	}
	printLine(latencyOf(peer, since(from), latencies, errors))
}

// Settle notes that a record has its result.
type Settle func(err error)

// MeasurePaced sends records at their times, first those of the warm-up; send hands record i over
// and calls settle once, from any goroutine, when the result is there.
func MeasurePaced(peer string, o *Options, send func(i int, settle Settle)) {
	sendPaced(o, o.Warmup, send)
	from := Now()
	latencies, lateness, errors := sendPaced(o, o.Records, send)
	printPaced(peer, o, since(from), latencies, lateness, errors)
}

type outcome struct {
	latency time.Duration
	err     error
}

func sendPaced(o *Options, records int, send func(int, Settle)) (latencies, lateness []time.Duration, errors int64) {
	outcomes := make(chan outcome, 4096)
	gathered := make(chan struct{})
	latencies = make([]time.Duration, 0, records)
	go func() {
		defer close(gathered)
		for range records {
			outcome := <-outcomes
			latencies = append(latencies, outcome.latency)
			if outcome.err != nil {
				errors++
			}
		}
	}()
	lateness = make([]time.Duration, records)
	begin := time.Now()
	for i := range records {
		due := begin.Add(dueAfter(i, o.Rate))
		if early := time.Until(due); early > 0 {
			time.Sleep(max(early, step))
		}
		lateness[i] = time.Since(due)
		send(i, func(err error) { outcomes <- outcome{time.Since(due), err} })
	}
	<-gathered
	return latencies, lateness, errors
}

// dueAfter is when the record after i others is due, from the first one's time on.
func dueAfter(i, rate int) time.Duration {
	high, low := bits.Mul64(uint64(i), uint64(time.Second))
	nanos, _ := bits.Div64(high, low, uint64(rate))
	return time.Duration(nanos)
}
