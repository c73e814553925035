package kbtf

import "math/bits"

// Special is a kind of field that the kernel manages (enum btf_field_type), as
// a bit.
type Special uint16

// Special fields, in the order of the kernel's bits.
const (
	SpinLock Special = 1 << iota
	Timer
	KptrUntrusted
	KptrRef
	KptrPercpu
	ListHead
	ListNode
	RBRoot
	RBNode
	RefCount
	Workqueue
	UserPtr
	ResSpinLock
	TaskWork

	Kptr      = KptrUntrusted | KptrRef | KptrPercpu
	graphRoot = ListHead | RBRoot
	graphNode = ListNode | RBNode

	// MapFields are those that a map's value may have, allocFields those that a
	// structure may have which programs allocate.
	MapFields   = SpinLock | ResSpinLock | Timer | Kptr | ListHead | RBRoot | RefCount | Workqueue | UserPtr | TaskWork
	allocFields = SpinLock | ResSpinLock | graphRoot | graphNode | RefCount | Kptr
)

// specialInfo describes one special field.
type specialInfo struct {
	name        string // of the structure; of the type tag for pointers
	size, align uint32
	once        bool // at most one in a structure
}

// specials is in the order of the bits (btf_field_type_name, _size, _align).
var specials = [...]specialInfo{
	{"bpf_spin_lock", 4, 4, true},
	{"bpf_timer", 16, 8, true},
	{"kptr_untrusted", 8, 8, false},
	{"kptr", 8, 8, false},
	{"percpu_kptr", 8, 8, false},
	{"bpf_list_head", 16, 8, false},
	{"bpf_list_node", 24, 8, false},
	{"bpf_rb_root", 16, 8, false},
	{"bpf_rb_node", 32, 8, false},
	{"bpf_refcount", 4, 4, false},
	{"bpf_wq", 16, 8, true},
	{"uptr", 8, 8, false},
	{"bpf_res_spin_lock", 4, 4, true},
	{"bpf_task_work", 8, 8, true},
}

func (s Special) info() *specialInfo { return &specials[bits.TrailingZeros16(uint16(s))] }

// String is the name of the field's type, or of its type tag.
func (s Special) String() string { return s.info().name }

// Size is how many bytes the field has.
func (s Special) Size() uint32 { return s.info().size }

// pointers are the special fields that are pointers with a type tag.
const pointers = Kptr | UserPtr

var (
	byStruct = map[string]Special{}
	byTag    = map[string]Special{}
)

func init() {
	for i, info := range specials {
		if s := Special(1) << i; s&pointers != 0 {
			byTag[info.name] = s
		} else {
			byStruct[info.name] = s
		}
	}
}

// Field is a special field of a structure.
type Field struct {
	Kind   Special
	Offset uint32 // in bytes
	// Type is the structure that a pointer points to or that a list or tree
	// holds. It is a type of the kernel's when Kernel is set.
	Type   ID
	Kernel bool
	// Node is the name of the member by which a list or tree holds its elements,
	// and NodeOffset its offset in bytes.
	Node       string
	NodeOffset uint32
}

// Record has the special fields of a structure (struct btf_record).
type Record struct {
	Kinds  Special // which there are
	Fields []Field // by offset
}

// All are the fields by offset. A nil Record has none.
func (r *Record) All() []Field {
	if r == nil {
		return nil
	}
	return r.Fields
}

// Has says whether there is a field of one of the kinds. A nil Record has none.
func (r *Record) Has(kinds Special) bool { return r != nil && r.Kinds&kinds != 0 }

// Offset is where the field of a kind lies that there can be one of, -1 without
// one.
func (r *Record) Offset(kind Special) int32 {
	if r.Has(kind) {
		for i := range r.Fields {
			if r.Fields[i].Kind == kind {
				return int32(r.Fields[i].Offset)
			}
		}
	}
	return -1
}
