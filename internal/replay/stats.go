package replay

import (
	"cmp"
	"slices"
	"time"
)

// Stats is what a run came to.
type Stats struct {
	// Packets and Bytes were run; Cut of them are in the capture with less than
	// their length.
	Packets int
	Bytes   uint64
	Cut     int
	// Framed says that the capture is not Ethernet and each packet was given an
	// Ethernet header.
	Framed bool
	// NotRun counts packets that no program can be run on, by reason.
	NotRun []Refusal
	// Rows is the histogram of verdicts, the most frequent first.
	Rows []*Row
	// Events is how many records the program sent to user space.
	Events int
	// Program is the time from handing over a packet to its verdict, summed up;
	// Elapsed is the whole, with reading and what others did with the results.
	Program, Elapsed time.Duration
}

// Row is a line of the histogram.
type Row struct {
	Verdict
	Packets int
	Bytes   uint64
}

// Refusal is a reason for which packets were not run.
type Refusal struct {
	Reason  string
	Packets int
}

// Skipped is how many packets were not run.
func (s *Stats) Skipped() (n int) {
	for _, r := range s.NotRun {
		n += r.Packets
	}
	return n
}

// PerPacket is the program's time for a packet, 0 without packets.
func (s *Stats) PerPacket() time.Duration {
	if s.Packets == 0 {
		return 0
	}
	return s.Program / time.Duration(s.Packets)
}

// Rate is packets per second of the program's time, 0 where none was measured.
func (s *Stats) Rate() float64 {
	if s.Program <= 0 {
		return 0
	}
	return float64(s.Packets) / s.Program.Seconds()
}

// Limits on what hostile programs and captures can make of the statistics:
// further verdicts and reasons share one line.
const (
	maxRows    = 1 << 16
	maxReasons = 16
)

func (s *Stats) newRow(v Verdict) *Row {
	switch len(s.Rows) {
	case maxRows:
		return s.Rows[maxRows-1]
	case maxRows - 1:
		v = Verdict{Name: "other", Passes: v.Passes, Keep: -1}
	}
	r := &Row{Verdict: v}
	s.Rows = append(s.Rows, r)
	return r
}

func (s *Stats) refuse(reason string) {
	for i := range s.NotRun {
		if r := &s.NotRun[i]; r.Reason == reason || i == maxReasons {
			r.Packets++
			return
		}
	}
	if len(s.NotRun) == maxReasons {
		reason = "other reasons"
	}
	s.NotRun = append(s.NotRun, Refusal{reason, 1})
}

// sort puts the most frequent verdicts first.
func (s *Stats) sort() {
	slices.SortFunc(s.Rows, func(a, b *Row) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Value, b.Value))
	})
}
