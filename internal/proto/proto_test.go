package proto_test

import (
	"testing"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/proto"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// withoutPrototype are ids that Linux 6.18 has no function for, or none with its
// usual configuration.
var withoutPrototype = map[uapi.FuncID]bool{
	uapi.BPF_FUNC_unspec: true,
}

// Every helper has a prototype of its name, whose flags make sense together
// (check_func_proto).
func TestPrototypes(t *testing.T) {
	for id := uapi.FuncID(0); int(id) < proto.Max; id++ {
		h := proto.Find(id, proto.Common)
		if h == nil {
			for _, v := range []proto.Variant{proto.Tracing, proto.XDP, proto.Socket} {
				if h == nil {
					h = proto.Find(id, v)
				}
			}
		}
		if (h == nil) != withoutPrototype[id] {
			t.Errorf("%s: prototype: %v", id, h != nil)
		}
		if h != nil {
			checkPrototype(t, id, h)
		}
	}
	if proto.Find(uapi.FuncID(proto.Max), proto.Common) != nil {
		t.Error("there is a helper beyond the last one")
	}
}

func checkPrototype(t *testing.T, id uapi.FuncID, h *desc.Helper) {
	t.Helper()
	if h.ID != id || h.Name != "bpf_"+id.LibName() {
		t.Errorf("%s: prototype is of %s (%s)", id, h.Name, h.ID)
	}
	raw := 0
	for i, a := range h.Args {
		size := a.Base() == desc.ArgConstSize || a.Base() == desc.ArgConstSizeOrZero
		if size && (i == 0 || h.Args[i-1].Base() != desc.ArgMem || h.Args[i-1].Has(desc.FixedSize)) {
			t.Errorf("%s: argument %d is the size of nothing", h.Name, i+1)
		}
		if a.Base() == desc.ArgMem && !a.Has(desc.FixedSize) && (i == 4 || h.Args[i+1].Base() != desc.ArgConstSize && h.Args[i+1].Base() != desc.ArgConstSizeOrZero) {
			t.Errorf("%s: argument %d has no size", h.Name, i+1)
		}
		if a.Has(desc.FixedSize) != (h.ArgSize[i] != 0) {
			t.Errorf("%s: argument %d has %d bytes", h.Name, i+1, h.ArgSize[i])
		}
		if a.Base() == desc.ArgMem && a.Has(desc.MemRDOnly) == a.Has(desc.MemWrite) {
			t.Errorf("%s: argument %d is neither read nor written, or both", h.Name, i+1)
		}
		if a.Base() == desc.ArgBTFID && h.ArgBTF[i] == "" && id != uapi.BPF_FUNC_kptr_xchg {
			t.Errorf("%s: argument %d points to no type", h.Name, i+1)
		}
		if a.Has(desc.MemUninit) && a.Base() == desc.ArgMem {
			raw++
		}
		if i > 0 && a != desc.ArgNone && h.Args[i-1] == desc.ArgNone {
			t.Errorf("%s: argument %d comes after none", h.Name, i+1)
		}
	}
	if raw > 1 {
		t.Errorf("%s fills %d buffers", h.Name, raw)
	}
	if h.ChangesPktData && h.Args[0].Base() != desc.ArgCtx {
		t.Errorf("%s moves the packet without a context", h.Name)
	}
}
