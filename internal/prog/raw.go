// Package prog holds a program at the stages of its life. Each type can be
// made only by its stage, so that code that was not verified cannot reach an
// engine:
//
//	Raw       what bpf(2) was given; made by internal/load
//	Verified  what the verifier accepted, and what it learned; made by
//	          internal/verifier and transformed by internal/rewrite
//	Image     what an engine made of it (exec.Image)
package prog

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Raw is a program as it was given to BPF_PROG_LOAD, copied in but not looked
// at.
type Raw struct {
	Info  desc.ProgInfo
	Name  string
	Insns []insn.Instruction
	// Digest is the SHA-256 over the instructions, in which maps are not told
	// apart (bpf_prog_calc_tag).
	Digest [32]byte

	// BTF describes the program's own types; nil when none was given.
	BTF *kbtf.BTF
	// Subprograms and source lines by BTF, as copied in; the verifier checks
	// them.
	FuncInfo, LineInfo, CoreRelo InfoRecords
	// AttachBTFID and AttachProg say what tracing, LSM, struct_ops and extension
	// programs attach to.
	AttachBTFID uint32
}

// InfoRecords is one of the record arrays that go with a program's BTF.
type InfoRecords struct {
	RecSize uint32 // bytes in each record, as user space declares it
	Count   uint32
	// Data are the records: Count*RecSize bytes. Where Read is set they are still
	// with the user, and are copied in one by one as they are checked: an array
	// may be declared much longer than it is.
	Data []byte
	Read func(i uint32) ([]byte, error)
	// Refused is told the size that a record may have, when one is longer and has
	// something in its tail; nil: nobody asks.
	Refused func(size uint32) error
}

// Record is the i-th record, RecSize bytes. Its error wraps EFAULT.
func (r *InfoRecords) Record(i uint32) ([]byte, error) {
	if r.Read != nil {
		return r.Read(i)
	}
	start := uint64(i) * uint64(r.RecSize)
	if start+uint64(r.RecSize) > uint64(len(r.Data)) {
		return nil, errno.Errorf(errno.EFAULT, "record %d is not there", i)
	}
	return r.Data[start:][:r.RecSize], nil
}

// FuncInfo is one struct bpf_func_info.
type FuncInfo struct{ InsnOff, TypeID uint32 }

// LineInfo is one struct bpf_line_info.
type LineInfo struct{ InsnOff, FileNameOff, LineOff, LineCol uint32 }

// Line and Col unpack the position in the source file.
func (l LineInfo) Line() uint32 { return l.LineCol >> 10 }

// Col is the column, from 1.
func (l LineInfo) Col() uint32 { return l.LineCol & 0x3ff }

// Type is a shorthand for the program's type.
func (r *Raw) Type() uapi.ProgType { return r.Info.Type }
