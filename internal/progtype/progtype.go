// Package progtype defines the program types, one a file: the layout of the
// context, who may read and write which field and how each access is done on
// the structures of package ktype, which helpers may be called.
package progtype

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Lookup returns the description of a program type, nil where skep does not
// have it.
func Lookup(t uapi.ProgType) *desc.ProgType {
	if int(t) >= len(types) {
		return nil
	}
	return types[t]
}

// All are the program types that skep has, in the order of enum bpf_prog_type.
func All() []*desc.ProgType {
	var out []*desc.ProgType
	for _, t := range types {
		if t != nil {
			out = append(out, t)
		}
	}
	return out
}

var types = [...]*desc.ProgType{
	uapi.BPF_PROG_TYPE_SOCKET_FILTER: &socketFilter,
	uapi.BPF_PROG_TYPE_SCHED_CLS:     &schedCls,
	uapi.BPF_PROG_TYPE_SCHED_ACT:     &schedAct,
	uapi.BPF_PROG_TYPE_XDP:           &xdp,
}
