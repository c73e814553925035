// Package progtype defines the program types, one a file: the layout of the
// context, who may read and write which field and how each access is done on
// the structures of package ktype, which helpers may be called.
package progtype

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Lookup returns the description of a program type that programs can be loaded
// and run with, nil where skep does not have it.
func Lookup(t uapi.ProgType) *desc.ProgType {
	if int(t) >= len(types) || !types[t].runs {
		return nil
	}
	return types[t].desc
}

// Verifiable returns the description of a program type whose programs can be
// verified, if not all of them run; nil for those that Linux verifies against
// what they attach to (tracing, LSM, struct_ops, extensions).
func Verifiable(t uapi.ProgType) *desc.ProgType {
	if int(t) >= len(types) {
		return nil
	}
	return types[t].desc
}

// All are the program types that Lookup knows, in the order of enum
// bpf_prog_type.
func All() []*desc.ProgType { return known(Lookup) }

// AllVerifiable are the program types that Verifiable knows.
func AllVerifiable() []*desc.ProgType { return known(Verifiable) }

func known(find func(uapi.ProgType) *desc.ProgType) []*desc.ProgType {
	var out []*desc.ProgType
	for t := range types {
		if d := find(uapi.ProgType(t)); d != nil {
			out = append(out, d)
		}
	}
	return out
}

// types are all program types. Those that run have the kernel's structures
// behind their context.
var types = [...]struct {
	desc *desc.ProgType
	runs bool
}{
	uapi.BPF_PROG_TYPE_SOCKET_FILTER:           {&socketFilter, true},
	uapi.BPF_PROG_TYPE_KPROBE:                  {&kprobe, false},
	uapi.BPF_PROG_TYPE_SCHED_CLS:               {&schedCls, true},
	uapi.BPF_PROG_TYPE_SCHED_ACT:               {&schedAct, true},
	uapi.BPF_PROG_TYPE_TRACEPOINT:              {&tracepoint, false},
	uapi.BPF_PROG_TYPE_XDP:                     {&xdp, true},
	uapi.BPF_PROG_TYPE_PERF_EVENT:              {&perfEvent, false},
	uapi.BPF_PROG_TYPE_CGROUP_SKB:              {&cgroupSKB, false},
	uapi.BPF_PROG_TYPE_CGROUP_SOCK:             {&cgroupSock, false},
	uapi.BPF_PROG_TYPE_LWT_IN:                  {&lwtIn, false},
	uapi.BPF_PROG_TYPE_LWT_OUT:                 {&lwtOut, false},
	uapi.BPF_PROG_TYPE_LWT_XMIT:                {&lwtXmit, false},
	uapi.BPF_PROG_TYPE_SOCK_OPS:                {&sockOps, false},
	uapi.BPF_PROG_TYPE_SK_SKB:                  {&skSKB, false},
	uapi.BPF_PROG_TYPE_CGROUP_DEVICE:           {&cgroupDevice, false},
	uapi.BPF_PROG_TYPE_SK_MSG:                  {&skMsg, false},
	uapi.BPF_PROG_TYPE_RAW_TRACEPOINT:          {&rawTracepoint, false},
	uapi.BPF_PROG_TYPE_CGROUP_SOCK_ADDR:        {&sockAddr, false},
	uapi.BPF_PROG_TYPE_LWT_SEG6LOCAL:           {&lwtSeg6Local, false},
	uapi.BPF_PROG_TYPE_LIRC_MODE2:              {&lircMode2, false},
	uapi.BPF_PROG_TYPE_SK_REUSEPORT:            {&skReuseport, false},
	uapi.BPF_PROG_TYPE_FLOW_DISSECTOR:          {&flowDissector, false},
	uapi.BPF_PROG_TYPE_CGROUP_SYSCTL:           {&cgroupSysctl, false},
	uapi.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE: {&rawTracepointWritable, false},
	uapi.BPF_PROG_TYPE_CGROUP_SOCKOPT:          {&cgroupSockopt, false},
	uapi.BPF_PROG_TYPE_SYSCALL:                 {&syscall, false},
	uapi.BPF_PROG_TYPE_SK_LOOKUP:               {&skLookup, false},
	uapi.BPF_PROG_TYPE_NETFILTER:               {&netfilter, false},
}
