package usermem_test

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/usermem"
)

func TestSegments(t *testing.T) {
	var s usermem.Segments
	a, b := []byte("hello"), make([]byte, 8192)
	pa, pb := s.Add(a), s.Add(b)
	if s.Add(nil) != 0 {
		t.Error("an empty slice has an address")
	}
	for _, tc := range []struct {
		name string
		addr uint64
		n    int
		ok   bool
	}{
		{"first byte", pa, 1, true},
		{"all", pa, 5, true},
		{"one more", pa, 6, false},
		{"inside", pa + 4, 1, true},
		{"behind", pa + 5, 1, false},
		{"gap", pa + 4096, 1, false},
		{"second", pb + 8191, 1, true},
		{"null", 0, 1, false},
		{"huge", ^uint64(0), 2, false},
	} {
		p := make([]byte, tc.n)
		for op, err := range map[string]error{"read": s.Read(tc.addr, p), "write": s.Write(tc.addr, p)} {
			if (err == nil) != tc.ok {
				t.Errorf("%s %s: %v", op, tc.name, err)
			}
			if err != nil && !errors.Is(err, errno.EFAULT) {
				t.Errorf("%s %s: %v, want EFAULT", op, tc.name, err)
			}
		}
	}
}

func TestProcess(t *testing.T) {
	if runtime.GOOS == "js" {
		t.Skip("js/wasm has no memory protection: a bad address of the process cannot be noticed")
	}
	var m usermem.Process
	src := []byte("some memory")
	dst := make([]byte, len(src))
	if err := m.Read(mem.HostAddr(src), dst); err != nil || !bytes.Equal(src, dst) {
		t.Fatalf("read %q, %v", dst, err)
	}
	if err := m.Write(mem.HostAddr(dst), []byte("SOME")); err != nil || string(dst) != "SOME memory" {
		t.Fatalf("wrote %q, %v", dst, err)
	}
	for _, bad := range []uint64{0, 8, 0xdead0000, 1 << 47, 0x8000_0000_0000_0000, ^uint64(0)} {
		if err := m.Read(bad, dst); !errors.Is(err, errno.EFAULT) {
			t.Errorf("read at %#x: %v, want EFAULT", bad, err)
		}
		if err := m.Write(bad, dst); !errors.Is(err, errno.EFAULT) {
			t.Errorf("write at %#x: %v, want EFAULT", bad, err)
		}
	}
}

func TestString(t *testing.T) {
	var s usermem.Segments
	p := s.AddString("GPL")
	for _, tc := range []struct {
		limit int
		want  string
		whole bool
	}{{4, "GPL", true}, {128, "GPL", true}, {3, "GPL", false}, {1, "G", false}} {
		got, whole, err := usermem.String(&s, p, tc.limit)
		if got != tc.want || whole != tc.whole || err != nil {
			t.Errorf("limit %d: %q, %v, %v", tc.limit, got, whole, err)
		}
	}
	q := s.Add([]byte("no end"))
	if _, _, err := usermem.String(&s, q, 128); !errors.Is(err, errno.EFAULT) {
		t.Errorf("unterminated string: %v, want EFAULT", err)
	}
}
