package progtype

import (
	"slices"

	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/ktype"
	"github.com/skep-ebpf/skep/internal/patch"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// skbFields are the fields of struct __sk_buff with what bpf_skb_is_valid_access
// allows of each. A program type picks those that it shows and says which may
// be written.
var skbFields = []desc.CtxField{
	word("len", uapi.OffSkBuffLen, member(insn.SizeW, ktype.OffSKBLen)),
	word("pkt_type", uapi.OffSkBuffPktType, member(insn.SizeB, ktype.OffSKBPktType)),
	word("mark", uapi.OffSkBuffMark, member(insn.SizeW, ktype.OffSKBMark)),
	word("queue_mapping", uapi.OffSkBuffQueueMapping, queueMapping),
	word("protocol", uapi.OffSkBuffProtocol, member(insn.SizeH, ktype.OffSKBProtocol)),
	word("vlan_present", uapi.OffSkBuffVLANPresent, vlanPresent),
	word("vlan_tci", uapi.OffSkBuffVLANTci, member(insn.SizeH, ktype.OffSKBVLANTci)),
	word("vlan_proto", uapi.OffSkBuffVLANProto, member(insn.SizeH, ktype.OffSKBVLANProto)),
	word("priority", uapi.OffSkBuffPriority, member(insn.SizeW, ktype.OffSKBPriority)),
	word("ingress_ifindex", uapi.OffSkBuffIngressIfindex, member(insn.SizeW, ktype.OffSKBIif)),
	word("ifindex", uapi.OffSkBuffIfindex, chain(true, insn.SizeW, ktype.OffNetDevIfindex, ktype.OffSKBDev)),
	word("tc_index", uapi.OffSkBuffTcIndex, member(insn.SizeH, ktype.OffSKBTCIndex)),
	{Name: "cb", Off: uapi.OffSkBuffCb, Size: 20, Elem: 4, Read: true, AnyWidth: true, Lower: controlBuffer},
	word("hash", uapi.OffSkBuffHash, member(insn.SizeW, ktype.OffSKBHash)),
	word("tc_classid", uapi.OffSkBuffTcClassid, member(insn.SizeH, ktype.OffSKBCBClassid)),
	pointer("data", uapi.OffSkBuffData, 4, desc.FieldPacket, ktype.OffSKBData),
	pointer("data_end", uapi.OffSkBuffDataEnd, 4, desc.FieldPacketEnd, ktype.OffSKBCBDataEnd),
	word("napi_id", uapi.OffSkBuffNapiID, napiID),
	pointer("data_meta", uapi.OffSkBuffDataMeta, 4, desc.FieldPacketMeta, ktype.OffSKBCBDataMeta),
	{Name: "tstamp", Off: uapi.OffSkBuffTstamp, Size: 8, Read: true, Lower: tstamp},
	word("wire_len", uapi.OffSkBuffWireLen, member(insn.SizeW, ktype.OffSKBCBPktLen)),
	word("gso_segs", uapi.OffSkBuffGSOSegs, shared(insn.SizeH, ktype.OffSharedGSOSegs)),
	pointer("sk", uapi.OffSkBuffSk, 8, desc.FieldSockCommonOrNull, ktype.OffSKBSK),
	word("gso_size", uapi.OffSkBuffGSOSize, shared(insn.SizeH, ktype.OffSharedGSOSize)),
	{Name: "tstamp_type", Off: uapi.OffSkBuffTstampType, Size: 1, Read: true,
		Allow: noteTstampType, Lower: member(insn.SizeB, ktype.OffSKBTstampType)},
	{Name: "hwtstamp", Off: uapi.OffSkBuffHwtstamp, Size: 8, Read: true,
		Lower: shared(insn.SizeDW, ktype.OffSharedHWTstamp)},
}

// word is a field of four bytes, of which parts may be read.
func word(name string, off uint32, lower lowering) desc.CtxField {
	return desc.CtxField{Name: name, Off: off, Size: 4, Read: true, Narrow: true, Lower: lower}
}

// pointer is a field that becomes a pointer when it is loaded whole.
func pointer(name string, off, size uint32, kind desc.FieldKind, at int16) desc.CtxField {
	return desc.CtxField{Name: name, Off: off, Size: size, Kind: kind, Read: true,
		Lower: member(insn.SizeDW, at)}
}

// skbContext is struct __sk_buff without the hidden fields, with writable
// fields opened for stores.
func skbContext(hidden, writable []string) *desc.Context {
	c := &desc.Context{Name: "__sk_buff", Size: uapi.SizeofSkBuff}
	for _, f := range skbFields {
		if slices.Contains(hidden, f.Name) {
			continue
		}
		f.Write = slices.Contains(writable, f.Name)
		c.Fields = append(c.Fields, f)
	}
	return c
}

// noQueueMapping is NO_QUEUE_MAPPING: queue numbers are below.
const noQueueMapping = 0xffff

// queueMapping leaves the queue as it is when a number out of range is stored.
func queueMapping(p *patch.Patch, a desc.CtxAccess) {
	if !a.Write {
		p.Emit(load(insn.SizeH, a.Dst, a.Src, ktype.OffSKBQueueMapping))
		return
	}
	if a.Insn.Class() == insn.ClassST {
		if a.Imm >= noQueueMapping {
			p.Emit(insn.Make(insn.ClassJMP|insn.JmpJA, 0, 0, 0, 0))
			return
		}
	} else {
		p.Jump(jumpImm(insn.JmpGE, a.Src, noQueueMapping), patch.End)
	}
	p.Emit(store(a, insn.SizeH, ktype.OffSKBQueueMapping))
}

// vlanPresent is skb_vlan_tag_present: 1 where protocol or tag are not 0.
func vlanPresent(p *patch.Patch, a desc.CtxAccess) {
	p.Emit(load(insn.SizeW, a.Dst, a.Src, ktype.OffSKBVLANProto))
	p.Jump(jumpImm(insn.JmpEQ, a.Dst, 0), patch.End)
	p.Emit(movImm(a.Dst, 1))
}

func controlBuffer(p *patch.Patch, a desc.CtxAccess) {
	member(sizeOf[a.Size], ktype.OffSKBCBData+int16(a.Off-uapi.OffSkBuffCb))(p, a)
}

// minNAPIID is where NAPI ids begin: below are numbers of CPUs (MIN_NAPI_ID on
// a kernel with CONFIG_NR_CPUS=64 or the possible CPUs, whichever is more).
const minNAPIID = 8193

func napiID(p *patch.Patch, a desc.CtxAccess) {
	p.Emit(load(insn.SizeW, a.Dst, a.Src, ktype.OffSKBNAPIID))
	p.Jump(jumpImm(insn.JmpGE, a.Dst, minNAPIID), patch.End)
	p.Emit(movImm(a.Dst, 0))
}

// shared is a member of the shared info behind the packet's buffer.
func shared(size uint8, off int16) lowering {
	return func(p *patch.Patch, a desc.CtxAccess) {
		p.Emit(
			load(insn.SizeW, insn.RAX, a.Src, ktype.OffSKBEnd),
			load(insn.SizeDW, a.Dst, a.Src, ktype.OffSKBHead),
			insn.Make(insn.ClassALU64|insn.OpAdd|insn.SrcX, a.Dst, insn.RAX, 0, 0),
			load(size, a.Dst, a.Dst, off))
	}
}

// noteTstampType remembers that the program knows of delivery times.
func noteTstampType(_ desc.CtxAccess, p *desc.ProgInfo) bool {
	if p != nil {
		p.TstampTypeAccess = true
	}
	return true
}

// tstamp hides delivery times from programs at ingress that do not look at
// tstamp_type: they read as 0, and a store makes the time a receive time again
// (bpf_convert_tstamp_read, bpf_convert_tstamp_write).
func tstamp(p *patch.Patch, a desc.CtxAccess) {
	aware := a.Info != nil && a.Info.TstampTypeAccess
	plain := p.Label()
	if a.Write {
		if !aware {
			p.Emit(load(insn.SizeB, insn.RAX, a.Dst, ktype.OffSKBTCAtIngress))
			p.Jump(jumpImm(insn.JmpEQ, insn.RAX, 0), plain)
			p.Emit(insn.Make(insn.ClassST|insn.ModeMem|insn.SizeB, a.Dst, 0, ktype.OffSKBTstampType, 0))
		}
		p.Bind(plain).Emit(store(a, insn.SizeDW, ktype.OffSKBTstamp))
		return
	}
	if !aware {
		p.Emit(load(insn.SizeB, insn.RAX, a.Src, ktype.OffSKBTCAtIngress))
		p.Jump(jumpImm(insn.JmpEQ, insn.RAX, 0), plain)
		p.Emit(load(insn.SizeB, insn.RAX, a.Src, ktype.OffSKBTstampType))
		p.Jump(jumpImm(insn.JmpEQ, insn.RAX, 0), plain)
		p.Emit(movImm(a.Dst, 0))
		p.Jump(insn.Make(insn.ClassJMP|insn.JmpJA, 0, 0, 0, 0), patch.End)
	}
	p.Bind(plain).Emit(load(insn.SizeDW, a.Dst, a.Src, ktype.OffSKBTstamp))
}
