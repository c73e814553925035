package main

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// typedEnums are the enums that become a Go type.
var typedEnums = []struct {
	kernel, goType string
	prefix         string // what LibName leaves out
	doc            string
}{
	{"bpf_cmd", "Cmd", "BPF_", "a command of bpf(2)"},
	{"bpf_map_type", "MapType", "BPF_MAP_TYPE_", "the type of a map"},
	{"bpf_prog_type", "ProgType", "BPF_PROG_TYPE_", "the type of a program"},
	{"bpf_attach_type", "AttachType", "BPF_", "the kind of hook that a program attaches to"},
	{"bpf_link_type", "LinkType", "BPF_LINK_TYPE_", "the type of a link"},
	{"bpf_func_id", "FuncID", "BPF_FUNC_", "the number of a helper function"},
}

func genEnums(spec *btf.Spec) (*source, error) {
	s := &source{}
	for _, te := range typedEnums {
		var e *btf.Enum
		if err := spec.TypeByName(te.kernel, &e); err != nil {
			return nil, fmt.Errorf("enum %s: %w", te.kernel, err)
		}
		s.p("// %s is %s (enum %s).", te.goType, te.doc, te.kernel)
		s.p("type %s uint32\n", te.goType)
		s.p("// Values of enum %s.", te.kernel)
		s.p("const (")
		for _, v := range e.Values {
			s.p("%s %s = %d", exported(v.Name), te.goType, v.Value)
		}
		s.p(")\n")
		table := "names" + te.goType
		s.p("var %s = [...]string{", table)
		for _, v := range canonical(e.Values) {
			s.p("%d: %q,", v.Value, v.Name)
		}
		s.p("}\n")
		s.p("// String returns the kernel's spelling.")
		s.p("func (v %s) String() string { return enumName(%s[:], uint32(v), %q) }\n", te.goType, table, te.goType)
		s.p("// LibName returns the name that libbpf and bpftool use: the kernel's in lower case, without %s.", te.prefix)
		s.p("func (v %s) LibName() string { return libName(%s[:], uint32(v), %q) }\n", te.goType, table, te.prefix)
		s.p("// Known reports whether Linux 6.18 has the value.")
		s.p("func (v %s) Known() bool { return enumKnown(%s[:], uint32(v)) }\n", te.goType, table)
		s.p("// Parse%s returns the value of a name, in the kernel's spelling or libbpf's.", te.goType)
		s.p("func Parse%s(name string) (%s, bool) {", te.goType, te.goType)
		s.p("v, ok := enumParse(%s[:], %q, name)", table, te.prefix)
		s.p("return %s(v), ok\n}\n", te.goType)
	}
	return s, nil
}

// exported makes a kernel constant visible outside the package: the __MAX_*
// end markers lose their underscores.
func exported(name string) string { return strings.TrimLeft(name, "_") }

// canonical keeps one name for each value: not an end marker, not a deprecated
// spelling where there is another, else the first.
func canonical(values []btf.EnumValue) []btf.EnumValue {
	var out []btf.EnumValue
	for _, v := range values {
		if strings.HasPrefix(v.Name, "__") {
			continue
		}
		i := slices.IndexFunc(out, func(o btf.EnumValue) bool { return o.Value == v.Value })
		switch {
		case i < 0:
			out = append(out, v)
		case strings.HasSuffix(out[i].Name, "_DEPRECATED"):
			out[i] = v
		}
	}
	slices.SortFunc(out, func(a, b btf.EnumValue) int { return int(a.Value) - int(b.Value) })
	return out
}

// flagEnums are the named enums whose values stay untyped constants.
var flagEnums = []string{
	"bpf_addr_space_cast", "bpf_adj_room_mode", "bpf_cgroup_iter_order",
	"bpf_check_mtu_flags", "bpf_check_mtu_ret", "bpf_cond_pseudo_jmp",
	"bpf_core_relo_kind", "bpf_hdr_start_off", "bpf_kfunc_flags",
	"bpf_lwt_encap_mode", "bpf_perf_event_type", "bpf_ret_code",
	"bpf_stack_build_id_status", "bpf_stats_type", "bpf_stream_id",
	"bpf_task_fd_type", "btf_func_linkage", "nf_inet_hooks", "sk_action",
	"tcx_action_base", "xdp_action",
}

// A nameless enum belongs to the ABI if its first value matches uapiFirst and
// not kernelFirst: BTF does not say which header a type is from.
var (
	uapiFirst   = regexp.MustCompile(`^(BPF_|BTF_F_|BTF_KIND_|BTF_VAR_|XDP_ATTACHED_|SK_BPF_CB_|TCP_BPF_)`)
	kernelFirst = regexp.MustCompile(`^(BPF_REG_0|BPF_MAX_TRAMP_LINKS|BPF_SKEL_KERNEL|BPF_TASK_ITER_ALL_PROCS|BPF_RINGBUF_BUSY_BIT_)`)
)

func genFlags(spec *btf.Spec) (*source, error) {
	s := &source{}
	seen := map[string]bool{}
	for _, name := range flagEnums {
		var e *btf.Enum
		if err := spec.TypeByName(name, &e); err != nil {
			return nil, fmt.Errorf("enum %s: %w", name, err)
		}
		s.constants("enum "+name, e, seen)
	}
	var anonymous []*btf.Enum
	for typ, err := range spec.All() {
		if err != nil {
			return nil, err
		}
		e, ok := typ.(*btf.Enum)
		if ok && e.Name == "" && len(e.Values) > 0 && uapiFirst.MatchString(e.Values[0].Name) && !kernelFirst.MatchString(e.Values[0].Name) {
			anonymous = append(anonymous, e)
		}
	}
	// BTF's order depends on the kernel's configuration; the names do not.
	slices.SortStableFunc(anonymous, func(a, b *btf.Enum) int { return strings.Compare(a.Values[0].Name, b.Values[0].Name) })
	for _, e := range anonymous {
		s.constants("a nameless enum", e, seen)
	}
	return s, nil
}

func (s *source) constants(what string, e *btf.Enum, seen map[string]bool) {
	if seen[e.Values[0].Name] {
		return // some nameless enums are in BTF twice
	}
	s.p("// Values of %s.", what)
	s.p("const (")
	for _, v := range e.Values {
		if seen[v.Name] {
			continue
		}
		seen[v.Name] = true
		s.p("%s = %s", exported(v.Name), literal(e, v.Value))
	}
	s.p(")\n")
}

// literal writes flags in hexadecimal and small numbers in decimal.
func literal(e *btf.Enum, value uint64) string {
	if e.Signed {
		v := int64(value)
		if e.Size == 4 {
			v = int64(int32(value))
		}
		if v < 0 {
			return fmt.Sprint(v)
		}
	} else if e.Size == 4 {
		value &= math.MaxUint32
	}
	if value < 16 {
		return fmt.Sprint(value)
	}
	return fmt.Sprintf("%#x", value)
}
