package common

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

type throughputLine struct {
	Peer           string  `json:"peer"`
	Records        int     `json:"records"`
	Seconds        float64 `json:"seconds"`
	RecordsPerS    float64 `json:"records_per_s"`
	MBPerS         float64 `json:"MB_per_s"`
	UserCPUS       float64 `json:"user_cpu_s"`
	SysCPUS        float64 `json:"sys_cpu_s"`
	CPUNsPerRecord float64 `json:"cpu_ns_per_record"`
	MaxRSSKB       int64   `json:"max_rss_kb"`
	Errors         int64   `json:"errors"`
}

type latencyLine struct {
	Peer         string  `json:"peer"`
	Latency      bool    `json:"latency"`
	Records      int     `json:"records"`
	Seconds      float64 `json:"seconds"`
	MeanUs       float64 `json:"mean_us"`
	P50Us        float64 `json:"p50_us"`
	P99Us        float64 `json:"p99_us"`
	P999Us       float64 `json:"p999_us"`
	MinUs        float64 `json:"min_us"`
	MaxUs        float64 `json:"max_us"`
	CPUUsPerSend float64 `json:"cpu_us_per_send"`
	MaxRSSKB     int64   `json:"max_rss_kb"`
	Errors       int64   `json:"errors"`
}

// pacedLine: lateness is how long after its time a record was handed over, which is the part of
// its latency that the load generator and a producer without room made.
type pacedLine struct {
	latencyLine
	Rate      int     `json:"rate"`
	LateP50Us float64 `json:"late_p50_us"`
	LateP99Us float64 `json:"late_p99_us"`
}

func printThroughput(peer string, o *Options, s span, errors int64) {
	n, size := float64(o.Records), float64(o.Size)
	if o.Keyed {
		size += keySize
	}
	printLine(throughputLine{
		Peer: peer, Records: o.Records,
		Seconds:        round(s.seconds(), 4),
		RecordsPerS:    round(n/s.seconds(), 0),
		MBPerS:         round(n*size/s.seconds()/1e6, 1),
		UserCPUS:       round(s.user(), 4),
		SysCPUS:        round(s.sys(), 4),
		CPUNsPerRecord: round((s.user()+s.sys())*1e9/n, 1),
		MaxRSSKB:       s.to.maxRSSKB, Errors: errors,
	})
}

func latencyOf(peer string, s span, latencies []time.Duration, errors int64) latencyLine {
	slices.Sort(latencies)
	var sum time.Duration
	for _, l := range latencies {
		sum += l
	}
	n := float64(len(latencies))
	return latencyLine{
		Peer: peer, Latency: true, Records: len(latencies),
		Seconds:      round(s.seconds(), 4),
		MeanUs:       round(float64(sum.Nanoseconds())/1e3/n, 1),
		P50Us:        microsAt(latencies, 0.5),
		P99Us:        microsAt(latencies, 0.99),
		P999Us:       microsAt(latencies, 0.999),
		MinUs:        microsAt(latencies, 0),
		MaxUs:        microsAt(latencies, 1),
		CPUUsPerSend: round((s.user()+s.sys())*1e6/n, 2),
		MaxRSSKB:     s.to.maxRSSKB, Errors: errors,
	}
}

func printPaced(peer string, o *Options, s span, latencies, lateness []time.Duration, errors int64) {
	slices.Sort(lateness)
	printLine(pacedLine{
		latencyLine: latencyOf(peer, s, latencies, errors),
		Rate:        o.Rate,
		LateP50Us:   microsAt(lateness, 0.5),
		LateP99Us:   microsAt(lateness, 0.99),
	})
}

func printLine(line any) {
	text, err := json.Marshal(line)
	Check(err)
	fmt.Println(string(text))
}

func microsAt(sorted []time.Duration, quantile float64) float64 {
	at := int(float64(len(sorted)-1) * quantile)
	return round(float64(sorted[at].Nanoseconds())/1e3, 1)
}

func round(x float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(x*scale) / scale
}
