package uapi

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestEnumNames(t *testing.T) {
	tests := []struct {
		v interface {
			String() string
			LibName() string
			Known() bool
		}
		name, lib string
		known     bool
	}{
		{BPF_PROG_TYPE_XDP, "BPF_PROG_TYPE_XDP", "xdp", true},
		{BPF_PROG_TYPE_SCHED_CLS, "BPF_PROG_TYPE_SCHED_CLS", "sched_cls", true},
		{BPF_MAP_TYPE_PERCPU_ARRAY, "BPF_MAP_TYPE_PERCPU_ARRAY", "percpu_array", true},
		{BPF_MAP_TYPE_CGROUP_STORAGE_DEPRECATED, "BPF_MAP_TYPE_CGROUP_STORAGE", "cgroup_storage", true},
		{BPF_PROG_RUN, "BPF_PROG_TEST_RUN", "prog_test_run", true},
		{BPF_CGROUP_INET4_BIND, "BPF_CGROUP_INET4_BIND", "cgroup_inet4_bind", true},
		{BPF_LINK_TYPE_TCX, "BPF_LINK_TYPE_TCX", "tcx", true},
		{BPF_FUNC_map_lookup_elem, "BPF_FUNC_map_lookup_elem", "map_lookup_elem", true},
		{MapType(1 << 31), "MapType(2147483648)", "2147483648", false},
		{MAX_BPF_CMD, "Cmd(38)", "38", false},
	}
	for _, tt := range tests {
		if tt.v.String() != tt.name || tt.v.LibName() != tt.lib || tt.v.Known() != tt.known {
			t.Errorf("got %q %q %v, want %q %q %v", tt.v, tt.v.LibName(), tt.v.Known(), tt.name, tt.lib, tt.known)
		}
	}
}

func TestParseEnum(t *testing.T) {
	for v := ProgType(0); v.Known(); v++ {
		for _, name := range []string{v.String(), v.LibName()} {
			if got, ok := ParseProgType(name); !ok || got != v {
				t.Errorf("ParseProgType(%q) = %v, %v", name, got, ok)
			}
		}
	}
	for _, name := range []string{"", "XDP", "0", "bogus"} {
		if v, ok := ParseProgType(name); ok {
			t.Errorf("ParseProgType(%q) = %v", name, v)
		}
	}
}

// codec is what every generated structure has.
type codec interface {
	Decode([]byte)
	Encode([]byte)
}

// TestCodecsRoundTrip encodes what was decoded from random bytes: the fields
// must come back, for every structure that has a part in the ABI.
func TestCodecsRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []codec{
		&MapCreateAttr{}, &MapElemAttr{}, &MapBatchAttr{}, &ProgLoadAttr{}, &ObjAttr{},
		&ProgAttachAttr{}, &TestRunAttr{}, &GetIDAttr{}, &InfoAttr{}, &ProgQueryAttr{},
		&RawTracepointAttr{}, &BTFLoadAttr{}, &TaskFDQueryAttr{}, &LinkCreateAttr{},
		&LinkCreateIterInfoAttr{}, &LinkCreatePerfEventAttr{}, &LinkCreateKprobeMultiAttr{},
		&LinkCreateTracingAttr{}, &LinkCreateNetfilterAttr{}, &LinkCreateTCXAttr{},
		&LinkCreateUprobeMultiAttr{}, &LinkCreateNetkitAttr{}, &LinkCreateCgroupAttr{},
		&LinkUpdateAttr{}, &LinkDetachAttr{}, &EnableStatsAttr{}, &IterCreateAttr{},
		&ProgBindMapAttr{}, &TokenCreateAttr{}, &ProgStreamReadAttr{},
		&ProgInfo{}, &MapInfo{}, &BTFInfo{}, &LinkInfo{}, &LinkInfoPerfEventKprobe{},
		&FuncInfo{}, &LineInfo{}, &CoreRelo{}, &BTFHeader{},
	} {
		in := make([]byte, 256)
		for i := range in {
			in[i] = byte(rng.Uint32())
		}
		c.Decode(in)
		out := make([]byte, 256)
		c.Encode(out)
		back := reflect.New(reflect.TypeOf(c).Elem()).Interface().(codec)
		back.Decode(out)
		if !reflect.DeepEqual(c, back) {
			t.Errorf("%T: %+v came back as %+v", c, c, back)
		}
		if bytes.Equal(out, make([]byte, 256)) {
			t.Errorf("%T: nothing was encoded", c)
		}
		back.Decode(nil)
		if !reflect.ValueOf(back).Elem().IsZero() {
			t.Errorf("%T: no input decodes as %+v", c, back)
		}
	}
}

func TestBitfield(t *testing.T) {
	b := bytes.Repeat([]byte{0xff}, SizeofProgInfo)
	var info ProgInfo
	info.Decode(b)
	if info.GPLCompatible != 1 {
		t.Errorf("one bit reads as %#x", info.GPLCompatible)
	}
	info.GPLCompatible = 0
	info.Encode(b)
	if got := b[84]; got != 0xfe {
		t.Errorf("the bit's neighbours were overwritten: %#x", got)
	}
}

func TestStructs(t *testing.T) {
	s, ok := StructByName("__sk_buff")
	if !ok || s.Size != SizeofSkBuff {
		t.Fatalf("__sk_buff: %v, %v", s, ok)
	}
	f, ok := s.Field("remote_ip6")
	if want := (Field{Name: "remote_ip6", Offset: OffSkBuffRemoteIP6, Size: 16, Elem: 4}); !ok || f != want {
		t.Errorf("remote_ip6 is %+v, want %+v", f, want)
	}
	if f, _ := s.Field("sk"); !f.Pointer || f.Size != 8 {
		t.Errorf("sk is %+v", f)
	}
	if _, ok := s.Field("nonesuch"); ok {
		t.Error("a field that is not there was found")
	}
	for name, s := range structs {
		for _, f := range s.Fields {
			if f.Offset < 0 || f.End() > s.Size {
				t.Errorf("%s.%s ends at %d of %d", name, f.Name, f.End(), s.Size)
			}
		}
	}
}

func TestCString(t *testing.T) {
	for in, want := range map[string]string{"": "", "a\x00b": "a", "abc": "abc", "\x00": ""} {
		if got := CString([]byte(in)); got != want {
			t.Errorf("CString(%q) = %q, want %q", in, got, want)
		}
	}
}
