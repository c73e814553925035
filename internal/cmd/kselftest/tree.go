package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// tree is a kernel source tree.
type tree struct {
	dir string
	cpp *cpp
	env *env
}

// headers define the macros and constants that the tests use.
var headers = []string{
	"tools/include/uapi/linux/bpf_common.h",
	"tools/include/uapi/linux/bpf.h",
	"tools/include/uapi/linux/btf.h",
	"tools/include/linux/filter.h",
	"tools/testing/selftests/bpf/test_btf.h",
	"tools/testing/selftests/bpf/test_verifier.c",
}

const selftests = "tools/testing/selftests/bpf"

func openTree(dir string) (*tree, error) {
	t := &tree{dir: dir, env: &env{consts: map[string]int64{}, offset: offsetOf, end: endOf, size: sizeOf}}
	t.cpp = &cpp{macros: map[string]*macro{}, eval: func(ts []token) (int64, error) {
		p := &parser{ts: ts, env: t.env}
		v, err := p.expression(0)
		return v.num, err
	}}
	for name, body := range map[string]string{
		"__BYTE_ORDER__": "1234", "__ORDER_LITTLE_ENDIAN__": "1234", "__ORDER_BIG_ENDIAN__": "4321",
	} {
		t.cpp.macros[name] = &macro{body: []token{{kind: number, text: body}}}
	}
	for e := errno.Errno(1); e < 134; e++ {
		t.env.consts[e.Name()] = int64(e)
	}
	for name, n := range map[string]int64{
		"AF_INET": 2, "AF_INET6": 10, "SOCK_STREAM": 1, "SOCK_DGRAM": 2, "IPPROTO_TCP": 6, "IPPROTO_UDP": 17,
		"INT_MIN": -1 << 31, "INT_MAX": 1<<31 - 1, "LLONG_MIN": -1 << 63, "LLONG_MAX": 1<<63 - 1, "UINT_MAX": 1<<32 - 1,
		"ETH_HLEN": 14, "ETH_P_IP": 0x800, "ETH_P_IPV6": 0x86dd,
	} {
		t.env.consts[name] = n
	}
	for _, h := range headers {
		src, err := os.ReadFile(filepath.Join(dir, h))
		if err != nil {
			return nil, fmt.Errorf("%w (-src names a kernel source tree)", err)
		}
		ts, err := t.cpp.run(string(src))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h, err)
		}
		t.enums(ts)
	}
	return t, nil
}

// enums takes the constants of enumerations.
func (t *tree) enums(ts []token) {
	for i := 0; i < len(ts); i++ {
		if ts[i].text != "enum" || ts[i].kind != ident {
			continue
		}
		for i++; i < len(ts) && ts[i].text != "{" && ts[i].text != ";"; i++ {
		}
		if i < len(ts) && ts[i].text == "{" {
			i = t.enumerators(ts, i+1)
		}
	}
}

func (t *tree) enumerators(ts []token, i int) int {
	next := int64(0)
	for i < len(ts) && ts[i].text != "}" {
		if ts[i].kind != ident {
			i++
			continue
		}
		name := ts[i].text
		i++
		if i < len(ts) && ts[i].text == "=" {
			p := &parser{ts: ts, at: i + 1, env: t.env}
			if v, err := p.expression(0); err == nil {
				next = v.num
			}
			i = p.at
		}
		t.env.consts[name] = next
		next++
		for i < len(ts) && ts[i].text != "," && ts[i].text != "}" {
			i++
		}
	}
	return i
}

// testCase is one test of the tree.
type testCase struct {
	file string
	name string
	v    value
}

// cases reads all tests. What cannot be read is told in broken.
func (t *tree) cases() (all []testCase, broken []string, err error) {
	files, err := filepath.Glob(filepath.Join(t.dir, selftests, "verifier", "*.c"))
	if err != nil || len(files) == 0 {
		return nil, nil, fmt.Errorf("%s has no verifier/*.c", filepath.Join(t.dir, selftests))
	}
	sort.Strings(files)
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			return nil, nil, err
		}
		ts, err := t.cpp.run(string(src))
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f, err)
		}
		p := &parser{ts: ts, env: t.env}
		for p.peek().text != "" {
			v, err := p.initialiser()
			if err != nil {
				broken = append(broken, fmt.Sprintf("%s, after %q: %v", filepath.Base(f), last(all), err))
				break
			}
			c := testCase{file: filepath.Base(f), v: v}
			if len(v.list) > 0 && v.list[0].v.isText {
				c.name = v.list[0].v.text
			}
			all = append(all, c)
			p.accept(",")
		}
	}
	return all, broken, nil
}

func last(all []testCase) string {
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1].name
}

// Structures of the test program itself.
var local = map[string]map[string]int64{
	"test_val":  {"index": 0, "foo": 4},
	"other_val": {"foo": 0, "bar": 8},
}

var localSize = map[string]int64{
	"test_val": 48, "other_val": 16, "int": 4, "long": 8, "long long": 8,
}

func offsetOf(structure, member string) (int64, error) {
	name, index, indexed := strings.Cut(member, "[")
	at := int64(0)
	if indexed {
		n, err := parseNumber(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(index), "]")))
		if err != nil {
			return 0, err
		}
		at = n
	}
	if structure == "skb" {
		structure = "__sk_buff"
	}
	if m, ok := local[structure]; ok {
		off, ok := m[name]
		if !ok {
			return 0, fmt.Errorf("struct %s has no member %s", structure, name)
		}
		return off + 4*at, nil
	}
	s, ok := uapi.StructByName(structure)
	if !ok {
		return 0, fmt.Errorf("struct %s is not known", structure)
	}
	f, ok := s.Field(name)
	if !ok {
		return 0, fmt.Errorf("struct %s has no member %s", structure, name)
	}
	return int64(f.Offset) + at*int64(f.Elem), nil
}

// endOf is the offset behind a member.
func endOf(structure, member string) (int64, error) {
	off, err := offsetOf(structure, member)
	if err != nil {
		return 0, err
	}
	s, ok := uapi.StructByName(structure)
	if !ok {
		return off + 4, nil
	}
	name, _, indexed := strings.Cut(member, "[")
	f, _ := s.Field(name)
	if indexed {
		return off + int64(f.Elem), nil
	}
	return off + int64(f.Size), nil
}

func sizeOf(typ string) (int64, error) {
	name := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(typ), "struct "))
	if n, ok := localSize[name]; ok {
		return n, nil
	}
	if s, ok := uapi.StructByName(name); ok {
		return int64(s.Size), nil
	}
	return 0, fmt.Errorf("the size of %s is not known", typ)
}
