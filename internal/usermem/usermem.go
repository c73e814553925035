// Package usermem is the memory of a task as bpf(2) sees it: attributes hold
// addresses, and only this package reads and writes what they point to.
package usermem

import (
	"encoding/binary"
	"sort"

	"github.com/skep-ebpf/skep/internal/errno"
)

// Mem is a task's address space. A copy that touches an address outside of it
// copies what comes before and fails with EFAULT.
type Mem interface {
	// Read fills p from addr.
	Read(addr uint64, p []byte) error
	// Write copies p to addr.
	Write(addr uint64, p []byte) error
}

// fault is the one error of this package.
func fault(addr uint64, n int) error {
	return errno.Errorf(errno.EFAULT, "%d bytes at address %#x are not the caller's memory", n, addr)
}

// Uint32 reads a number at addr.
func Uint32(m Mem, addr uint64) (uint32, error) {
	var b [4]byte
	err := m.Read(addr, b[:])
	return binary.LittleEndian.Uint32(b[:]), err
}

// PutUint32 writes a number at addr.
func PutUint32(m Mem, addr uint64, v uint32) error {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], v)
	return m.Write(addr, b[:])
}

// String reads a NUL-terminated string of at most limit bytes, the NUL
// included, as strncpy_from_user does: a longer one is cut, ok is then false.
func String(m Mem, addr uint64, limit int) (s string, ok bool, err error) {
	var out []byte
	var b [1]byte
	for len(out) < limit {
		if err := m.Read(addr+uint64(len(out)), b[:]); err != nil {
			return "", false, err
		}
		if b[0] == 0 {
			return string(out), true, nil
		}
		out = append(out, b[0])
	}
	return string(out), false, nil
}

// Segments is an address space made of byte slices: what skep's own API hands
// to bpf(2), so that no address of the process is needed. The zero value is
// empty. It is for one call at a time and not safe for concurrent use.
type Segments struct {
	segs []segment
	next uint64
}

type segment struct {
	addr uint64
	data []byte
}

// segmentBase keeps small numbers invalid, as address 0 is for a process.
const segmentBase = 1 << 32

// Add makes the slice readable and writable and returns its address, 0 for an
// empty slice.
func (s *Segments) Add(p []byte) uint64 {
	if len(p) == 0 {
		return 0
	}
	addr := max(s.next, segmentBase)
	s.segs = append(s.segs, segment{addr, p})
	// A gap makes an access beyond a slice's end fault.
	s.next = (addr+uint64(len(p)))&^0xfff + 0x2000
	return addr
}

// AddString adds a NUL-terminated copy of the string.
func (s *Segments) AddString(v string) uint64 { return s.Add(append([]byte(v), 0)) }

// Reset forgets all slices.
func (s *Segments) Reset() { s.segs, s.next = s.segs[:0], 0 }

func (s *Segments) at(addr uint64, n int) []byte {
	i := sort.Search(len(s.segs), func(i int) bool { return s.segs[i].addr > addr }) - 1
	if i < 0 {
		return nil
	}
	off := addr - s.segs[i].addr
	if off > uint64(len(s.segs[i].data)) {
		return nil
	}
	b := s.segs[i].data[off:]
	return b[:min(n, len(b))]
}

// Read implements [Mem].
func (s *Segments) Read(addr uint64, p []byte) error {
	if copy(p, s.at(addr, len(p))) < len(p) {
		return fault(addr, len(p))
	}
	return nil
}

// Write implements [Mem].
func (s *Segments) Write(addr uint64, p []byte) error {
	if copy(s.at(addr, len(p)), p) < len(p) {
		return fault(addr, len(p))
	}
	return nil
}
