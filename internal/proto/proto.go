// Package proto holds the prototypes of Linux 6.18's helper functions, ids 1 to
// 211, and says which program may call which: facts, as tables. Bodies are in
// package helpers; not every prototype has one.
package proto

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Max is one more than the highest helper id of Linux 6.18.
const Max = int(uapi.BPF_FUNC_cgrp_storage_delete) + 1

// variant tells prototypes of one helper id apart: program types whose kernel
// function differs, in signature or in body.
type variant string

// The variants, by the program types that have them.
const (
	common variant = ""
	xdp    variant = "xdp"
	skSKB  variant = "sk_skb"
	flow   variant = "flow_dissector"
	reuse  variant = "sk_reuseport"
	lookup variant = "sk_lookup"
	event  variant = "event_output" // bpf_event_output_data
	perf   variant = "perf_event"
	trace  variant = "tracing"
	multi  variant = "multi" // kprobes and uprobes, many at a time
	cgSock variant = "cgroup_sock"
	full   variant = "sock" // takes a socket, not a context
	addr   variant = "sock_addr"
	task   variant = "task"
	raw    variant = "raw" // of code that may be preempted
)

// row is a prototype of the tables.
type row struct {
	desc.Helper
	variant variant
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
func (r row) of(v variant) row             { r.variant = v; return r }
func (r row) checks(f formatCheck) row     { r.CheckFormat = f; return r }

// formatCheck is the type of desc.Helper.CheckFormat.
type formatCheck = func(format []byte, args int) errno.Errno

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
var byID = func() (all [Max]map[variant]*desc.Helper) {
	for _, t := range tables {
		for i := range t {
			r := &t[i]
			if all[r.ID] == nil {
				all[r.ID] = map[variant]*desc.Helper{}
			}
			all[r.ID][r.variant] = &r.Helper
		}
	}
	return all
}()

// find is the prototype of a helper in a variant, or the common one.
func find(id uapi.FuncID, v variant) *desc.Helper {
	if h := byID[id][v]; h != nil {
		return h
	}
	return byID[id][common]
}
