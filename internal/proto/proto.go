// Package proto holds the prototypes of Linux 6.18's helper functions, ids 1 to
// 211, and says which program may call which: facts, as tables. Bodies are in
// package helpers; not every prototype has one.
package proto

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Max is one more than the highest helper id of Linux 6.18.
const Max = int(uapi.BPF_FUNC_cgrp_storage_delete) + 1

// Variant tells prototypes of one helper id apart: program types whose kernel
// function differs, in signature or in body.
type Variant string

// The variants: the program types, or what the kernel's function is for.
const (
	Common        Variant = ""
	XDP           Variant = "xdp"
	SkSKB         Variant = "sk_skb"
	FlowDissector Variant = "flow_dissector"
	SkReuseport   Variant = "sk_reuseport"
	SkLookup      Variant = "sk_lookup"
	EventOutput   Variant = "event_output" // of a context that is no packet
	PerfEvent     Variant = "perf_event"
	Tracing       Variant = "tracing"
	Multi         Variant = "multi" // kprobes and uprobes, many at a time
	CgroupSock    Variant = "cgroup_sock"
	Socket        Variant = "sock" // takes a socket, not a context
	SockAddr      Variant = "sock_addr"
	Task          Variant = "task" // of the current task, not of a packet
	Raw           Variant = "raw"  // the plain one, where tracing has a better one
)

// row is a prototype of the tables.
type row struct {
	desc.Helper
	variant Variant
}

// fn is a prototype without flags.
func fn(id uapi.FuncID, ret desc.Ret, args ...desc.Arg) row {
	r := row{Helper: desc.Helper{ID: id, Name: "bpf_" + id.LibName(), Ret: ret}}
	copy(r.Args[:], args)
	return r
}

// The methods below add what few prototypes have.

func (r row) gpl() row                     { r.GPLOnly = true; return r }
func (r row) packet() row                  { r.PktAccess = true; return r }
func (r row) moves() row                   { r.ChangesPktData = true; return r }
func (r row) sleeps() row                  { r.MightSleep = true; return r }
func (r row) fast() row                    { r.FastCall = true; return r }
func (r row) calls() row                   { r.CallsBack = true; return r }
func (r row) acquires() row                { r.Acquires = true; return r }
func (r row) releases() row                { r.Releases = true; return r }
func (r row) sized(arg int, n uint32) row  { r.ArgSize[arg-1] = n; return r }
func (r row) btf(arg int, name string) row { r.ArgBTF[arg-1] = name; return r }
func (r row) gives(name string) row        { r.RetBTF = name; return r }

// allowed restricts calls by program.
func (r row) allowed(f func(*desc.ProgInfo) bool) row { r.Allowed = f; return r }

func (r row) of(v Variant) row { r.variant = v; return r }

// Short names for arguments and results, as Linux spells them after ARG_ and
// RET_.
const (
	ctx       = desc.ArgCtx
	ctxOrNull = desc.ArgCtx | desc.MaybeNull
	anything  = desc.ArgAnything
	constMap  = desc.ArgConstMapPtr
	mapKey    = desc.ArgMapKey
	mapValue  = desc.ArgMapValue
	valueOut  = desc.ArgMapValue | desc.MemUninit | desc.MemWrite
	valueInit = desc.ArgMapValue | desc.MaybeNull
	memIn     = desc.ArgMem | desc.MemRDOnly
	memInOpt  = desc.ArgMem | desc.MemRDOnly | desc.MaybeNull
	memOut    = desc.ArgMem | desc.MemUninit | desc.MemWrite
	memInOut  = desc.ArgMem | desc.MemWrite
	fixedIn   = desc.ArgMem | desc.MemRDOnly | desc.FixedSize
	mtuInOut  = desc.ArgMem | desc.FixedSize | desc.MemWrite | desc.Aligned
	wordOut   = desc.ArgMem | desc.FixedSize | desc.MemUninit | desc.MemWrite | desc.Aligned
	memSize   = desc.ArgConstSize
	memSize0  = desc.ArgConstSizeOrZero
	allocSize = desc.ArgConstAllocSizeOrZero
	sockArg   = desc.ArgBTFIDSockCommon
	btfArg    = desc.ArgBTFID
	btfOrNull = desc.ArgBTFID | desc.MaybeNull
	callback  = desc.ArgFunc
	stackOpt  = desc.ArgStack | desc.MaybeNull
	dynptrIn  = desc.ArgDynptr | desc.MemRDOnly

	integer     = desc.RetInteger
	void        = desc.RetVoid
	valueOrNull = desc.RetMapValue | desc.RetNull
	btfRetNull  = desc.RetBTFID | desc.RetNull
)

// tables are all prototypes.
var tables = [][]row{
	mapProtos, coreProtos, ringbufProtos, dynptrProtos, taskProtos, traceProtos, storageProtos, cgroupProtos,
	skbProtos, xdpProtos, sockProtos, sockOptProtos, sockMapProtos, tunnelProtos, syncookieProtos,
}

// byID are the prototypes of each helper, by variant.
var byID = func() (all [Max]map[Variant]*desc.Helper) {
	for _, t := range tables {
		for i := range t {
			r := &t[i]
			if all[r.ID] == nil {
				all[r.ID] = map[Variant]*desc.Helper{}
			}
			all[r.ID][r.variant] = &r.Helper
		}
	}
	return all
}()

// Find is the prototype of a helper in a variant, or the common one; nil if it
// has neither.
func Find(id uapi.FuncID, v Variant) *desc.Helper {
	if int64(id) >= int64(Max) {
		return nil
	}
	if h := byID[id][v]; h != nil {
		return h
	}
	return byID[id][Common]
}
