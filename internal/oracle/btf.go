package oracle

import (
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// BTF is the kernel's answer to a BTF load.
type BTF struct {
	FD          int // -1 if it was refused
	Errno       errno.Errno
	Log         string
	LogTrueSize uint32

	k *Kernel
}

// LoadBTF loads raw BTF with the log at level, and closes it when the test ends.
// A refusal is an answer, not a failure.
func LoadBTF(t testing.TB, raw []byte, level uint32) *BTF {
	t.Helper()
	b := TryBTF(raw, level)
	t.Cleanup(b.Close)
	return b
}

// TryBTF loads raw BTF into the live kernel with the log at level; the caller
// closes it.
func TryBTF(raw []byte, level uint32) *BTF { return Live().TryBTF(raw, level) }

// TryBTF loads raw BTF with the log at level; the caller closes it.
func (k *Kernel) TryBTF(raw []byte, level uint32) *BTF {
	var pins Pins
	defer pins.Release()
	a := uapi.BTFLoadAttr{BTF: pins.Addr(raw), BTFSize: uint32(len(raw)), BTFLogLevel: level}
	var log []byte
	if level != 0 {
		log = make([]byte, 1<<20)
		a.BTFLogBuf, a.BTFLogSize = pins.Addr(log), uint32(len(log))
	}
	fd, e := k.do(uapi.BPF_BTF_LOAD, &a)
	if e != 0 {
		fd = -1
	}
	return &BTF{FD: fd, Errno: e, Log: uapi.CString(log), LogTrueSize: a.BTFLogTrueSize, k: k}
}

// Close drops the descriptor, if there is one.
func (b *BTF) Close() {
	if b.FD >= 0 {
		b.k.CloseFD(b.FD)
		b.FD = -1
	}
}

// Info returns what the kernel says of the BTF object.
func (b *BTF) Info() (uapi.BTFInfo, errno.Errno) {
	var i uapi.BTFInfo
	raw, e := b.k.Info(b.FD, uapi.SizeofBTFInfo)
	i.Decode(raw)
	return i, e
}
