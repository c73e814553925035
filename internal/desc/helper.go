package desc

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Arg is what a helper wants in an argument register: a base kind and flags,
// as enum bpf_arg_type is composed in Linux.
type Arg uint32

// Base kinds of arguments.
const (
	ArgNone                 Arg = iota // the helper has no such argument
	ArgConstMapPtr                     // a map, known at verification
	ArgMapKey                          // readable, key_size bytes of the map argument before
	ArgMapValue                        // readable, value_size bytes of the map argument before
	ArgMem                             // memory; the next argument is its size
	ArgConstSize                       // size of the memory argument before, > 0
	ArgConstSizeOrZero                 // same, may be 0
	ArgCtx                             // the program's context
	ArgAnything                        // any initialised value
	ArgSpinLock                        // struct bpf_spin_lock in a map value or local object
	ArgSockCommon                      // struct sock_common
	ArgSocket                          // a full socket
	ArgBTFID                           // pointer to the kernel type in Helper.ArgBTF
	ArgRingbufMem                      // memory reserved in a ring buffer
	ArgConstAllocSizeOrZero            // size of an allocation, known at verification
	ArgBTFIDSockCommon                 // socket, as BTF pointer or socket pointer
	ArgPercpuBTFID                     // pointer to a per-CPU kernel variable
	ArgFunc                            // a subprogram to call back
	ArgStack                           // pointer to the stack
	ArgConstStr                        // NUL-terminated constant string
	ArgTimer                           // struct bpf_timer
	ArgKptr                            // slot of a kernel pointer in a map value
	ArgDynptr                          // struct bpf_dynptr on the stack

)

// Flags that modify an argument or a return value, kernel names in comments.
const (
	MaybeNull     Arg = 1 << (8 + iota) // PTR_MAYBE_NULL
	MemRDOnly                           // MEM_RDONLY
	MemWrite                            // MEM_WRITE: the helper writes it
	MemUninit                           // MEM_UNINIT: may be uninitialised before
	FixedSize                           // MEM_FIXED_SIZE: Helper.ArgSize bytes
	Aligned                             // MEM_ALIGNED
	Release                             // OBJ_RELEASE
	DynptrLocal                         // DYNPTR_TYPE_LOCAL
	DynptrRingbuf                       // DYNPTR_TYPE_RINGBUF
	DynptrSKB                           // DYNPTR_TYPE_SKB
	DynptrXDP                           // DYNPTR_TYPE_XDP
)

// Base is the kind without flags.
func (a Arg) Base() Arg { return a & 0xff }

// Has says whether all of flag's bits are set.
func (a Arg) Has(flag Arg) bool { return a&flag == flag }

// Ret is what a helper leaves in R0; [MaybeNull] and [MemRDOnly] may be or-ed
// in through the combined constants.
type Ret uint32

// Kinds of return values, as enum bpf_return_type.
const (
	RetInteger Ret = iota
	RetVoid
	RetMapValue
	RetSocket
	RetTCPSock
	RetSockCommon
	RetMem                        // memory of the size given by an ArgConstAllocSizeOrZero
	RetMemOrBTFID                 // per-CPU variable
	RetBTFID                      // kernel object
	RetBTFIDTrusted               // kernel object, trusted
	RetDynptrMem                  // slice of a dynptr
	RetNull         Ret = 1 << 8  // PTR_MAYBE_NULL
	RetRingbuf      Ret = 1 << 9  // MEM_RINGBUF
	RetReadOnly     Ret = 1 << 10 // MEM_RDONLY
)

// Base is the kind without flags.
func (r Ret) Base() Ret { return r & 0xff }

// Helper is the prototype of a helper function (struct bpf_func_proto).
type Helper struct {
	ID   uapi.FuncID
	Name string // "bpf_map_lookup_elem"
	Args [5]Arg
	// ArgSize is the size in bytes of an argument with FixedSize.
	ArgSize [5]uint32
	// ArgBTF names the kernel type of an ArgBTFID argument.
	ArgBTF [5]string
	Ret    Ret
	RetBTF string

	GPLOnly        bool // gpl_only
	PktAccess      bool // pkt_access: arguments may point into the packet
	ChangesPktData bool // bpf_helper_changes_pkt_data: packet pointers die
	MightSleep     bool // might_sleep
	FastCall       bool // allow_fastcall: clobbers only what it uses
	// Acquires and Releases say that R0 is a new reference, or that an argument
	// with flag Release gives one back.
	Acquires, Releases bool
	// CallsBack is set for helpers that call a subprogram given in an ArgFunc.
	CallsBack bool
	// Allowed, where not nil, tells whether this program may call it.
	Allowed func(p *ProgInfo) bool
	// CheckFormat, where not nil, tells whether the format string (the bytes of
	// an ArgConstStr without the NUL) goes with that many arguments; the verifier
	// asks when the string is known (check_bpf_snprintf_call).
	CheckFormat func(format []byte, args int) errno.Errno
}
