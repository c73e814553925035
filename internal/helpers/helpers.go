// Package helpers holds the bodies of the helper functions that programs call,
// one file a family. What a helper takes and gives, and which program may call
// it, is in package proto.
//
// A program that is to run may call only what has a body here (or what the
// engines themselves carry out, as tail calls): what verification lets through,
// runs.
package helpers

import (
	"slices"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/prog"
	"github.com/skep-ebpf/skep/internal/proto"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// helper is a prototype with its body. The prototype's address tells apart the
// helpers of one id that different program types have.
type helper struct {
	desc.Helper
	proto *desc.Helper
	body  exec.HelperFunc
	// engine marks a helper that engines carry out themselves: it has no body.
	engine bool
}

// fn gives the common prototype of a helper its body.
func fn(id uapi.FuncID, body exec.HelperFunc) helper {
	return helper{body: body}.like(proto.Find(id, proto.Common))
}

// of makes it the body of another variant of the prototype.
func (h helper) of(v proto.Variant) helper { return h.like(proto.Find(h.ID, v)) }

func (h helper) like(p *desc.Helper) helper {
	h.Helper, h.proto = *p, p
	return h
}

func (h helper) byEngine() helper { h.engine = true; return h }

func (h helper) checksFormat(f func(format []byte, args int) errno.Errno) helper {
	h.CheckFormat = f
	return h
}

// families are all helpers that have bodies.
var families = [][]helper{
	mapHelpers, timeHelpers, ringbufHelpers, textHelpers, controlHelpers, taskHelpers, printHelpers, probeHelpers,
	skbReadHelpers, skbEventHelpers, skbWriteHelpers, csumDiffHelpers, csumHelpers, vlanHelpers, roomHelpers,
	skbMetaHelpers, tunnelHelpers, redirectHelpers, routeHelpers, sockHelpers, skbSockHelpers,
	xdpHelpers, xdpEventHelpers, xdpRouteHelpers,
}

// runnable finds the helper behind a prototype of package proto, bodies the body
// behind one that Lookup gave.
var runnable, bodies = func() (map[*desc.Helper]*helper, map[*desc.Helper]exec.HelperFunc) {
	byProto, byHelper := map[*desc.Helper]*helper{}, map[*desc.Helper]exec.HelperFunc{}
	for _, f := range slices.Concat(families, [][]helper{loadAbs[:]}) {
		for i := range f {
			h := &f[i]
			if h.proto != nil {
				byProto[h.proto] = h
			}
			if h.body != nil {
				byHelper[&h.Helper] = h.body
			}
		}
	}
	return byProto, byHelper
}()

// Lookup is get_func_proto of every program type: the prototype of a helper for
// a program, nil when the program may not call it. Helpers without a body are
// there for verification alone.
func Lookup(id uapi.FuncID, p *desc.ProgInfo) *desc.Helper {
	h := proto.Lookup(id, p)
	if r := runnable[h]; r != nil {
		return &r.Helper
	}
	if p.VerifyOnly {
		return h
	}
	return nil
}

// Supported lists the helpers that programs of a type may call in skep, by id,
// with every privilege.
func Supported(t uapi.ProgType) []uapi.FuncID {
	var ids []uapi.FuncID
	p := &desc.ProgInfo{Type: t, Caps: desc.Caps{BPF: true, Perfmon: true, NetAdmin: true, SysAdmin: true}}
	for id := uapi.FuncID(0); int(id) < proto.Max; id++ {
		if Lookup(id, p) != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

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
