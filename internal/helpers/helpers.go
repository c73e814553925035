// Package helpers holds the helper functions that programs call: their
// prototypes for the verifier and their bodies for the engines, one file a
// family, and the sets that each program type may call.
//
// A helper is listed only where it has a body (or where the engines themselves
// are the body, as for tail calls): what verification lets through, runs.
package helpers

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// helper is a prototype with its body. Helpers of one id may differ from program
// type to program type; the prototype's address tells them apart.
type helper struct {
	desc.Helper
	body exec.HelperFunc
	// engine marks a helper that engines carry out themselves: it has no body.
	engine bool
	// need is the privilege without which the helper does not exist for a
	// program.
	need privilege
}

// privilege orders what bpf_base_func_proto asks for.
type privilege uint8

const (
	needNothing privilege = iota
	needBPF
	needPerfmon
)

func (n privilege) granted(c desc.Caps) bool {
	switch n {
	case needBPF:
		return c.BPF || c.SysAdmin
	case needPerfmon:
		return (c.BPF || c.SysAdmin) && (c.Perfmon || c.SysAdmin)
	}
	return true
}

// fn makes a helper from the parts that all have.
func fn(id uapi.FuncID, body exec.HelperFunc, ret desc.Ret, args ...desc.Arg) helper {
	h := helper{Helper: desc.Helper{ID: id, Name: "bpf_" + id.LibName(), Ret: ret}, body: body}
	copy(h.Args[:], args)
	return h
}

// The methods below add what few helpers have.

func (h helper) gpl() helper                    { h.GPLOnly = true; return h }
func (h helper) readsPacket() helper            { h.PktAccess = true; return h }
func (h helper) changesPacket() helper          { h.ChangesPktData = true; return h }
func (h helper) requires(n privilege) helper    { h.need = n; return h }
func (h helper) callsBack() helper              { h.CallsBack = true; return h }
func (h helper) acquires() helper               { h.Acquires = true; return h }
func (h helper) releases() helper               { h.Releases = true; return h }
func (h helper) sized(arg int, n uint32) helper { h.ArgSize[arg-1] = n; return h }

func (h helper) checksFormat(f func(format []byte, args int) errno.Errno) helper {
	h.CheckFormat = f
	return h
}

func requireAll(n privilege, list []helper) []helper {
	for i := range list {
		list[i].need = n
	}
	return list
}

// Short names for arguments, as Linux spells them after ARG_.
const (
	ctx      = desc.ArgCtx
	anything = desc.ArgAnything
	constMap = desc.ArgConstMapPtr
	mapKey   = desc.ArgMapKey
	mapValue = desc.ArgMapValue
	memIn    = desc.ArgMem | desc.MemRDOnly
	memInOpt = desc.ArgMem | desc.MemRDOnly | desc.MaybeNull
	memOut   = desc.ArgMem | desc.MemUninit | desc.MemWrite
	memSize  = desc.ArgConstSize
	memSize0 = desc.ArgConstSizeOrZero
	sockArg  = desc.ArgBTFIDSockCommon

	integer = desc.RetInteger
)

// failure is how a helper returns an errno.
func failure(e errno.Errno) uint64 { return uint64(-int64(e)) }

// Env links helpers to images.
func Env(m *exec.Machine) *exec.Env {
	return &exec.Env{Helper: func(id uapi.FuncID, fact *prog.Fact) exec.HelperFunc {
		if fact == nil || fact.Helper == nil {
			return nil
		}
		return bodies[fact.Helper]
	}}
}

// bodies finds the body behind a prototype.
var bodies = func() map[*desc.Helper]exec.HelperFunc {
	all := map[*desc.Helper]exec.HelperFunc{}
	for _, s := range []*set{&socketFilterSet, &schedSet, &xdpSet} {
		for _, h := range s {
			if h != nil && h.body != nil {
				all[&h.Helper] = h.body
			}
		}
	}
	for i := range loadAbs {
		all[&loadAbs[i].Helper] = loadAbs[i].body
	}
	return all
}()
