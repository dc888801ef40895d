package common

import (
	"syscall"
	"time"
)

// Usage is what the process has used up to a moment.
type Usage struct {
	user, sys float64
	maxRSSKB  int64
	at        time.Time
}

// Now asks the system.
func Now() Usage {
	var r syscall.Rusage
	Check(syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)*1e-6 }
	return Usage{seconds(r.Utime), seconds(r.Stime), r.Maxrss, time.Now()}
}

type span struct{ from, to Usage }

func since(from Usage) span { return span{from, Now()} }

func (s span) seconds() float64 { return s.to.at.Sub(s.from.at).Seconds() }

func (s span) user() float64 { return s.to.user - s.from.user }

func (s span) sys() float64 { return s.to.sys - s.from.sys }
