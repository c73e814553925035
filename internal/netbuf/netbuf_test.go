package netbuf

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/mem"
)

func newMachine(tb testing.TB) *exec.Machine {
	tb.Helper()
	region, err := mem.NewRegion(64 << 20)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := exec.NewMachine(region, 1)
	if err != nil {
		tb.Fatal(err)
	}
	used := region.Used()
	tb.Cleanup(func() {
		if got := region.Used(); got != used {
			tb.Errorf("%d bytes were left behind", got-used)
		}
		if err := region.Close(); err != nil {
			tb.Error(err)
		}
	})
	return m
}

// sum16 is the Internet checksum as RFC 1071 writes it.
func sum16(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		sum += uint32(c) << (8 * (i & 1))
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// Sums add up over pieces, and folding gives the checksum of RFC 1071.
func TestChecksum(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		b := make([]byte, rng.IntN(100))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		whole := CsumPartial(b, 0)
		if !same(whole, uint32(sum16(b))) {
			t.Fatalf("%x: %#x, want %#x", b, whole, sum16(b))
		}
		cut := rng.IntN(len(b)+1) &^ 1
		if got := CsumPartial(b[cut:], CsumPartial(b[:cut], 0)); !same(got, whole) {
			t.Fatalf("%x cut at %d: %#x, whole %#x", b, cut, got, whole)
		}
		if got := CsumAdd(CsumSub(whole, CsumPartial(b[cut:], 0)), CsumPartial(b[cut:], 0)); !same(got, whole) {
			t.Fatalf("%x: taking the end away and putting it back gives %#x, not %#x", b, got, whole)
		}
		off := rng.IntN(len(b) + 1)
		rest := CsumBlockSub(whole, CsumPartial(b[off:], 0), uint32(off))
		if want := CsumPartial(b[:off], 0); !same(rest, want) {
			t.Fatalf("%x without what is behind %d: %#x, want %#x", b, off, rest, want)
		}
	}
}

// same compares checksums, of which zero has two forms.
func same(a, b uint32) bool {
	x, y := CsumFrom32To16(a), CsumFrom32To16(b)
	return x == y || x^y == 0xffff && (x == 0 || y == 0)
}

// Changes to a packet, one after the other, against the same on a slice.
func TestSKBAgainstSlice(t *testing.T) {
	m := newMachine(t)
	dev, err := NewLoopback(m)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Free()
	s, err := NewSKB(m)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Free()
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		model := make([]byte, EthHeader+rng.IntN(3000))
		for i := range model {
			model[i] = byte(rng.Uint32())
		}
		if e := s.Reset(SKBHeadroom, uint32(len(model)), dev, nil); e != 0 {
			t.Fatal(e)
		}
		copy(s.Bytes(), model)
		for range 30 {
			off, n := rng.IntN(len(model)+1), rng.IntN(300)
			switch rng.IntN(4) {
			case 0:
				if s.InsertAt(uint32(off), uint32(n)) == 0 {
					model = slices.Insert(model, off, make([]byte, n)...)
				}
			case 1:
				if e := s.RemoveAt(uint32(off), uint32(n)); (e == 0) != (off+n <= len(model)) {
					t.Fatalf("removing %d at %d of %d: %v", n, off, len(model), e)
				} else if e == 0 {
					model = slices.Delete(model, off, off+n)
				}
			case 2:
				if s.Grow(uint32(n)) == 0 {
					model = append(model, make([]byte, n)...)
				}
			case 3:
				s.Trim(uint32(off))
				model = model[:off]
			}
			if !bytes.Equal(s.Bytes(), model) {
				t.Fatal("the packet is not the slice any more")
			}
			if int(s.Tail-s.Headroom()) != len(model) || s.Tail > s.End {
				t.Fatalf("tail %d, headroom %d, end %d, length %d", s.Tail, s.Headroom(), s.End, len(model))
			}
		}
	}
}

// Pieces are the frame in order, wherever its fragments begin.
func TestXDPPieces(t *testing.T) {
	m := newMachine(t)
	dev, err := NewLoopback(m)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Free()
	x, err := NewXDP(m)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Free()
	rng := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		linear := EthHeader + rng.IntN(100)
		x.Reset(XDPHeadroom, 0, uint32(linear), dev)
		var model []byte
		fill := func(b []byte) {
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			model = append(model, b...)
		}
		fill(x.Bytes())
		for range rng.IntN(4) {
			b, e := x.AddFrag(uint32(1 + rng.IntN(200)))
			if e != 0 {
				t.Fatal(e)
			}
			fill(b)
		}
		if x.HasFrags() && rng.IntN(2) == 0 {
			cut := rng.IntN(len(model) - EthHeader)
			x.ShrinkFrags(uint32(cut))
			model = model[:len(model)-cut]
		}
		if int(x.Len()) != len(model) {
			t.Fatalf("length %d, want %d", x.Len(), len(model))
		}
		off := rng.IntN(len(model) + 1)
		n := rng.IntN(len(model) - off + 1)
		var got []byte
		x.Pieces(uint32(off), uint32(n), func(b []byte) { got = append(got, b...) })
		if !bytes.Equal(got, model[off:off+n]) {
			t.Fatalf("%d bytes at %d: %x, want %x", n, off, got, model[off:off+n])
		}
	}
	x.Reset(XDPHeadroom, 0, 60, dev)
	for n := range ktype.MaxFrags + 1 {
		if _, e := x.AddFrag(10); (e == 0) != (n < ktype.MaxFrags) {
			t.Errorf("fragment %d: %v", n, e)
		}
	}
}
