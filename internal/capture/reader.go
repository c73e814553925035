// Package capture reads and writes packet captures: pcap and pcapng, compressed
// by gzip or not, from files and pipes. The formats themselves are gopacket's
// matter; this package adds what a tool needs around them: which format it is,
// how far the reading came, and where a broken file is broken.
package capture

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Packet is one captured packet. Data is valid until the next call to Next.
type Packet struct {
	Data []byte
	Time time.Time
	// Length is the packet's length on the wire; Data is shorter when the
	// capture cut it.
	Length int
	// Interface is the number of the interface in a pcapng file.
	Interface int
}

// Error says where a capture is broken. What came before was good.
type Error struct {
	Name string
	// Offset is where, in bytes of the (uncompressed) capture, the record begins
	// that could not be read; Packets how many were read before.
	Offset  int64
	Packets int
	Err     error
}

// Error tells what, where and how much was good.
func (e *Error) Error() string {
	what := e.Err.Error()
	if errors.Is(e.Err, io.ErrUnexpectedEOF) {
		what = "the file ends in the middle of a record"
	}
	return fmt.Sprintf("%s: broken at byte %d, after %d packets: %s", e.Name, e.Offset, e.Packets, what)
}

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// Reader reads a capture packet by packet.
type Reader struct {
	Name string

	counted *counter
	buf     *bufio.Reader
	file    io.Closer
	fileAt  *counter // position in the compressed or plain file
	size    int64
	next    func() ([]byte, gopacket.CaptureInfo, error)
	link    func() layers.LinkType
	packets int
	record  int64
	err     error
}

// Open opens a capture; "-" is standard input.
func Open(path string) (*Reader, error) {
	if path == "-" {
		return NewReader("standard input", os.Stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(path, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.file = f
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		r.size = st.Size()
	}
	return r, nil
}

// bufferSize is large enough for the reader underneath to use the buffer as it
// is, so that the count of what was consumed is exact.
const bufferSize = 64 << 10

// NewReader reads a capture from a stream.
func NewReader(name string, in io.Reader) (*Reader, error) {
	r := &Reader{Name: name, fileAt: &counter{r: in}}
	plain, err := unzip(bufio.NewReaderSize(r.fileAt, bufferSize))
	if err != nil {
		return nil, r.broken(err)
	}
	r.counted = &counter{r: plain}
	r.buf = bufio.NewReaderSize(r.counted, bufferSize)
	magic, err := r.buf.Peek(4)
	if err != nil {
		if len(magic) == 0 && err == io.EOF {
			err = errors.New("it is empty")
		}
		return nil, r.broken(err)
	}
	if err := r.start(binary.LittleEndian.Uint32(magic)); err != nil {
		return nil, r.broken(err)
	}
	r.record = r.offset()
	return r, nil
}

// unzip looks through gzip.
func unzip(in *bufio.Reader) (io.Reader, error) {
	if magic, err := in.Peek(2); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return in, nil
	}
	return gzip.NewReader(in)
}

const (
	magicPcap       = 0xa1b2c3d4
	magicPcapNano   = 0xa1b23c4d
	magicPcapSwap   = 0xd4c3b2a1
	magicPcapNanoSw = 0x4d3cb2a1
	magicPcapng     = 0x0a0d0d0a
)

func (r *Reader) start(magic uint32) error {
	switch magic {
	case magicPcapng:
		ng, err := pcapgo.NewNgReader(r.buf, pcapgo.NgReaderOptions{ErrorOnMismatchingLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return err
		}
		r.next, r.link = ng.ZeroCopyReadPacketData, ng.LinkType
	case magicPcap, magicPcapNano, magicPcapSwap, magicPcapNanoSw:
		p, err := pcapgo.NewReader(r.buf)
		if err != nil {
			return err
		}
		r.next, r.link = p.ZeroCopyReadPacketData, p.LinkType
	default:
		return fmt.Errorf("it is neither pcap nor pcapng (it starts with %#08x)", magic)
	}
	return nil
}

// LinkType is the link layer of the packets.
func (r *Reader) LinkType() layers.LinkType { return r.link() }

// Next returns the next packet, io.EOF after the last one, an [*Error] where the
// capture is broken.
func (r *Reader) Next() (p Packet, err error) {
	if r.err != nil {
		return Packet{}, r.err
	}
	r.record = r.offset()
	data, info, err := r.read()
	if err != nil {
		if err == io.EOF && r.offset() != r.record {
			err = io.ErrUnexpectedEOF
		}
		if err != io.EOF {
			err = r.broken(err)
		}
		r.err = err
		return Packet{}, err
	}
	r.packets++
	return Packet{Data: data, Time: info.Timestamp, Length: info.Length, Interface: info.InterfaceIndex}, nil
}

// read guards against a reader that gives up on bad input by panicking.
func (r *Reader) read() (data []byte, info gopacket.CaptureInfo, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the record makes no sense: %v", p)
		}
	}()
	return r.next()
}

func (r *Reader) broken(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &Error{Name: r.Name, Offset: r.record, Packets: r.packets, Err: err}
}

func (r *Reader) offset() int64 { return r.counted.n - int64(r.buf.Buffered()) }

// Packets is how many were read.
func (r *Reader) Packets() int { return r.packets }

// Progress is how many bytes of the file were read, and its size, 0 where that
// is not known.
func (r *Reader) Progress() (read, size int64) { return r.fileAt.n, r.size }

// Close closes the file.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
