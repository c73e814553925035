package replay

import (
	"context"
	"io"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/skep-ebpf/skep/internal/capture"
)

// batch is packets on their way from the reading goroutine to the running one.
type batch struct {
	data    []byte
	packets []record
	framed  bool
	cut     int
	// read and size are the position in the file after the batch.
	read, size int64
	// done marks the last batch, err why it is the last; nil at the end of the
	// capture.
	done bool
	err  error
}

// record is one packet of a batch.
type record struct {
	number   int
	from, to int // in batch.data
	time     time.Time
	refused  error // why it has no Ethernet form
}

// A batch is long enough to make little of what it costs to hand over, and short
// enough for ring buffers of the usual sizes.
const (
	batchPackets = 64
	batchBytes   = 256 << 10
)

// reading is a goroutine that fills batches, so that reading and running go on
// at the same time.
type reading struct{ full, free chan *batch }

// read starts reading. The goroutine ends with the capture, after an error, or
// when ctx is done and the source does not block.
func read(ctx context.Context, r *capture.Reader) (*reading, error) {
	link := r.LinkType()
	frame, err := framingOf(link)
	if err != nil {
		return nil, err
	}
	const buffers = 3
	in := &reading{make(chan *batch, buffers), make(chan *batch, buffers)}
	for range buffers {
		in.free <- &batch{framed: link != layers.LinkTypeEthernet}
	}
	go in.loop(ctx, r, frame)
	return in, nil
}

func (in *reading) loop(ctx context.Context, r *capture.Reader, frame framing) {
	for number := 0; ; {
		select {
		case <-ctx.Done():
			return
		case b := <-in.free:
			number = b.fill(r, frame, number)
			b.read, b.size = r.Progress()
			in.full <- b
			if b.done {
				return
			}
		}
	}
}

// fill reads packets; number is that of the last one before.
func (b *batch) fill(r *capture.Reader, frame framing, number int) int {
	b.data, b.packets, b.cut = b.data[:0], b.packets[:0], 0
	for len(b.packets) < batchPackets && len(b.data) < batchBytes {
		p, err := r.Next()
		if err != nil {
			b.done = true
			if err != io.EOF {
				b.err = err
			}
			return number
		}
		number++
		if p.Length > len(p.Data) {
			b.cut++
		}
		rec := record{number: number, from: len(b.data), time: p.Time}
		data, err := frame(b.data, p.Data)
		if err != nil {
			rec.refused = err
		} else {
			b.data = data
		}
		rec.to = len(b.data)
		b.packets = append(b.packets, rec)
	}
	return number
}

// add takes over what is known of a batch without running it.
func (s *Stats) add(b *batch) {
	s.Cut += b.cut
	s.Framed = s.Framed || b.framed
}
