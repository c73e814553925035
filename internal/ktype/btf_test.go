package ktype

import (
	"bytes"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/internal/kbtf"
	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Loaders read it with cilium's package.
func TestBTFForLoaders(t *testing.T) {
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(BTF()))
	if err != nil {
		t.Fatal(err)
	}
	var skb *btf.Struct
	if err := spec.TypeByName("sk_buff", &skb); err != nil {
		t.Fatal(err)
	}
	if skb.Size != uint32(SizeofSKBuff) {
		t.Errorf("struct sk_buff has %d bytes, want %d", skb.Size, SizeofSKBuff)
	}
	var sk *btf.Struct
	if err := spec.TypeByName("sock", &sk); err != nil {
		t.Fatal(err)
	}
	if sk.Members[0].Name != "__sk_common" {
		t.Errorf("struct sock begins with %s", sk.Members[0].Name)
	}
	for _, m := range skb.Members {
		if m.Name == "dev" {
			p, ok := m.Type.(*btf.Pointer)
			if !ok || p.Target.TypeName() != "net_device" {
				t.Errorf("sk_buff.dev is %v", m.Type)
			}
		}
	}
}

// Offsets in the BTF are those of the Go structures.
func TestBTFOffsets(t *testing.T) {
	b := Types()
	for _, c := range []struct {
		typ, member string
		off         int16
	}{
		{"sk_buff", "len", OffSKBLen}, {"sk_buff", "mark", OffSKBMark}, {"sk_buff", "cb", offSKBCB},
		{"xdp_buff", "data_end", OffXDPDataEnd}, {"net_device", "ifindex", OffNetDevIfindex},
		{"sock_common", "skc_family", OffSockFamily}, {"sock", "sk_mark", OffSockMark},
	} {
		found := false
		for _, m := range b.Type(b.Lookup(kbtf.KindStruct, c.typ)).Members {
			if m.Name == c.member {
				found = true
				if m.Offset != uint32(c.off)*8 {
					t.Errorf("%s.%s is at bit %d, want byte %d", c.typ, c.member, m.Offset, c.off)
				}
			}
		}
		if !found {
			t.Errorf("%s has no member %s", c.typ, c.member)
		}
	}
}

// The structures of the interface are laid out as the tables say.
func TestBTFInterface(t *testing.T) {
	b := Types()
	for _, s := range uapi.Structs() {
		id := b.Lookup(kbtf.KindStruct, s.Name)
		if id == 0 {
			t.Errorf("struct %s is not there", s.Name)
			continue
		}
		got := map[string]uint32{}
		flatten(b, id, "", 0, got)
		for _, f := range s.Fields {
			if off, ok := got[f.Name]; !ok || off != uint32(8*f.Offset+f.Shift) {
				t.Errorf("%s.%s is at bit %d (%v), want byte %d", s.Name, f.Name, off, ok, f.Offset)
			}
		}
	}
}

// flatten gives the members of a structure by dotted path, with their bits.
func flatten(b *kbtf.BTF, id kbtf.ID, prefix string, off uint32, out map[string]uint32) {
	for _, m := range b.Type(id).Members {
		name := prefix + m.Name
		out[name] = off + m.Offset
		if t := b.Type(m.Type); t.Kind.IsComposite() {
			if m.Name != "" {
				name += "."
			}
			flatten(b, m.Type, name, off+m.Offset, out)
		}
	}
}

func TestBTFEnums(t *testing.T) {
	b := Types()
	for name, value := range map[string]kbtf.Value{
		"bpf_func_id":  {Name: "BPF_FUNC_map_lookup_elem", N: 1},
		"bpf_map_type": {Name: "BPF_MAP_TYPE_RINGBUF", N: uint64(uapi.BPF_MAP_TYPE_RINGBUF)},
		"xdp_action":   {Name: "XDP_REDIRECT", N: 4},
	} {
		found := false
		for _, v := range b.Type(b.Lookup(kbtf.KindEnum, name)).Values {
			found = found || v == value
		}
		if !found {
			t.Errorf("enum %s does not have %v", name, value)
		}
	}
}

func TestBTFLive(t *testing.T) {
	oracle.Require(t)
	if b := oracle.LoadBTF(t, BTF(), 1); b.Errno != 0 {
		t.Errorf("the live kernel refuses skep's BTF: %v\n%s", b.Errno, b.Log[max(0, len(b.Log)-500):])
	}
}
