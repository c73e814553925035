package kbtf

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// samples is one or more of everything that the format can get right or wrong.
func samples() []sample {
	var s set
	for _, add := range []func(*set){
		headerSamples, infoSamples, nameSamples, intSamples, arraySamples, memberSamples, enumSamples,
		functionSamples, variableSamples, tagSamples, referenceSamples, depthSamples, fieldSamples,
	} {
		add(&s)
	}
	return s
}

func headerSamples(s *set) {
	put := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[at:], v); return b }
	}
	base := func(edit func([]byte) []byte) *blob { b := new(blob).int(); b.edit = edit; return b }
	full := len(base(nil).bytes())
	for n := range full + 1 {
		s.addf(base(func(b []byte) []byte { return b[:n] }), "cut to %d bytes", n)
	}
	for _, n := range []int{1, 3, 4, 100} {
		s.addf(base(func(b []byte) []byte { return append(b, make([]byte, n)...) }), "%d bytes behind", n)
	}
	for at := 0; at < headerSize; at += 4 {
		for _, v := range []uint32{0, 1, 2, 3, 4, 7, 8, 12, 15, 16, 17, 20, 21, 24, 25, 28, 32, 0xeb9f, 0x0001eb9f,
			0x0002eb9f, 0x0101eb9f, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffc} {
			s.addf(base(put(at, v)), "header word %d is %#x", at/4, v)
		}
	}
	long := func(extra []byte) func([]byte) []byte {
		return func(b []byte) []byte {
			out := append(append(append([]byte{}, b[:headerSize]...), extra...), b[headerSize:]...)
			return put(4, uint32(headerSize+len(extra)))(out)
		}
	}
	s.add("long header of zeros", base(long(make([]byte, 8))))
	s.add("long header with more", base(long([]byte{0, 0, 0, 1})))
	layout := func(to, tl, so, sl uint32) func([]byte) []byte {
		return func(b []byte) []byte {
			for i, v := range []uint32{to, tl, so, sl} {
				put(8+4*i, v)(b)
			}
			return b
		}
	}
	for _, l := range [][4]uint32{{0, 16, 16, 5}, {0, 16, 16, 4}, {0, 12, 16, 5}, {0, 20, 16, 5}, {0, 16, 17, 4}, {5, 16, 0, 5},
		{0, 0, 0, 21}, {0, 21, 0, 0}, {0, 21, 21, 0}, {1, 15, 16, 5}, {0, 16, 15, 6}, {0xfffffff0, 16, 0, 5}, {0, 0xfffffff0, 16, 5},
		{0, 21, 0x80000001, 0}, {22, 0, 0, 21}, {0, 15, 15, 6}, {0, 17, 17, 4}, {21, 0, 0, 21}} {
		s.addf(base(layout(l[0], l[1], l[2], l[3])), "layout %v", l)
	}
	zero := func(at int, v byte) func([]byte) []byte {
		return func(b []byte) []byte { b[len(b)+at] = v; return b }
	}
	s.add("strings not ended", base(zero(-1, 'x')))
	s.add("strings not begun with zero", base(zero(-5, 'x')))
	s.add("no types", new(blob))
}

// kindNames is every kind and some that are none.
var allKinds = func() (out []Kind) {
	for k := Kind(0); k < numKinds+2; k++ {
		out = append(out, k)
	}
	return append(out, 31)
}()

// tail is what a type of the kind needs behind its words to be sound, referring
// to type 1 (an int) and for functions to type 2 (a prototype).
func tail(b *blob, k Kind, vlen int) {
	for i := range vlen {
		switch k {
		case KindStruct, KindUnion:
			b.m(fmt.Sprint("m", i), 1, 0)
		case KindEnum:
			b.m(fmt.Sprint("V", i), uint32(i))
		case KindEnum64:
			b.m(fmt.Sprint("V", i), uint32(i), 0)
		case KindFuncProto:
			b.m(fmt.Sprint("p", i), 1)
		case KindDatasec:
			b.types = append(b.types, 3, uint32(4*i), 4)
		}
	}
	switch k {
	case KindInt:
		b.types = append(b.types, 1<<24|32)
	case KindArray:
		b.types = append(b.types, 1, 1, 3)
	case KindVar:
		b.types = append(b.types, 1)
	case KindDeclTag:
		b.types = append(b.types, ^uint32(0))
	}
}

// lasts are values for the word that is a size or a type.
var lasts = []uint32{0, 1, 2, 3, 4, 5, 8, 9, 12, 16, 17, 99, 0xfffff, 0x100000, 0x80000000, 0xffffffff}

// infoSamples varies the words that all kinds have.
func infoSamples(s *set) {
	for _, k := range allKinds {
		for _, info := range []uint32{0, flagged, 1, 2, 3, flagged | 1, flagged | 3, 0x10000, 0x20000000, 0x60000000} {
			for _, last := range lasts {
				for _, name := range []string{"", "name"} {
					b := new(blob).int()
					b.t("", KindFuncProto, 0, 0)
					b.t("v", KindVar, 0, 1, 1)
					b.t(name, k, info, last)
					tail(b, k, int(info&0xffff))
					s.addf(b, "kind %d info %#x last %#x name %q", k, info, last, name)
				}
			}
		}
		for short := range 6 {
			b := new(blob).int().t("x", k, 2, 1)
			for range short {
				b.types = append(b.types, 1)
			}
			s.addf(b, "kind %d with %d words behind", k, short)
		}
	}
}

func nameSamples(s *set) {
	names := []string{"", "a", "_", ".", ".a", "9", "a9", "a-b", "a b", "a\tb", "a\x01", "\xe9", "\xd7", "a\xf7", "a\xaa", "\x80", "a?b", "?x",
		".bss", "?.maps", ".data.rel.ro", "a/b", "\xa0", "a\x7f", "a\x9f", strings.Repeat("n", 511), strings.Repeat("n", 512), strings.Repeat("n", 513),
		strings.Repeat("n", 1100)}
	for _, k := range allKinds[1:] {
		for _, n := range names {
			b := new(blob).int()
			b.t("", KindFuncProto, 0, 0)
			last := uint32(4)
			switch k {
			case KindFunc:
				last = 2
			case KindPtr, KindTypedef, KindVolatile, KindConst, KindRestrict, KindTypeTag, KindVar, KindFuncProto:
				last = 1
			case KindDeclTag:
				last = 4
				b.t("td", KindTypedef, 0, 1)
				b.t("td", KindTypedef, 0, 1)
			case KindFwd, KindArray:
				last = 0
			}
			b.t(n, k, 0, last)
			tail(b, k, 0)
			s.addf(b, "kind %d named %.20q (%d)", k, n, len(n))
		}
		for _, off := range []uint32{4, 5, 6, 100, 0xffffff, 0x1000000, 0xffffffff} { // 4 is the end of "int"
			b := new(blob).int().raw(off, uint32(k)<<24, 4)
			tail(b, k, 0)
			s.addf(b, "kind %d with name offset %#x", k, off)
		}
	}
	for _, n := range names {
		s.addf(new(blob).int().t("s", KindStruct, 1, 4).m(n, 1, 0), "member named %.20q", n)
		s.addf(new(blob).int().t("e", KindEnum, 1, 4).m(n, 1), "value named %.20q", n)
		s.addf(new(blob).int().t("e", KindEnum64, 1, 4).m(n, 1, 1), "value of 64 bits named %.20q", n)
		s.addf(new(blob).int().t("", KindFuncProto, 1, 0).m(n, 1), "parameter named %.20q", n)
		s.addf(new(blob).int().t("", KindFuncProto, 1, 0).m(n, 0), "last parameter named %.20q", n)
		s.addf(new(blob).int().t("", KindFuncProto, 1, 0).m(n, 1).t("f", KindFunc, 0, 2), "parameter of a function named %.20q", n)
	}
	for _, off := range []uint32{4, 100, 0xffffff, 0x1000000, 0xffffffff} {
		s.addf(new(blob).int().t("s", KindStruct, 1, 4, off, 1, 0), "member name offset %#x", off)
		s.addf(new(blob).int().t("s", KindStruct, 1|flagged, 4, off, 1, 0), "member name offset %#x, flagged", off)
		s.addf(new(blob).int().t("s", KindEnum, 1, 4, off, 1), "value name offset %#x", off)
		s.addf(new(blob).int().t("s", KindEnum64, 1, 4, off, 1, 0), "value64 name offset %#x", off)
		s.addf(new(blob).int().t("", KindFuncProto, 1, 0, off, 1), "parameter name offset %#x", off)
		s.addf(new(blob).int().t("", KindFuncProto, 2, 0, off, 1, 0, 0), "parameter name offset %#x before vararg", off)
	}
}

func intSamples(s *set) {
	for _, enc := range []uint32{0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 0x80} {
		for _, bits := range []uint32{0, 1, 7, 8, 31, 32, 33, 64, 65, 128, 129, 255} {
			for _, off := range []uint32{0, 1, 8, 32, 128, 255} {
				for _, size := range []uint32{0, 4, 16} {
					s.addf(new(blob).t("i", KindInt, 0, size, enc<<24|off<<16|bits), "int enc %d bits %d off %d size %d", enc, bits, off, size)
				}
			}
		}
	}
	s.add("int with a bit of its word that means nothing", new(blob).t("i", KindInt, 0, 4, 0x0100ff20))
}

func arraySamples(s *set) {
	ids := []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 99, 0xfffff, 0x100000}
	base := func() *blob {
		b := new(blob).int()                        // 1
		b.t("", KindFuncProto, 0, 0)                // 2
		b.t("fw", KindFwd, 0, 0)                    // 3
		b.t("f", KindFunc, 0, 2)                    // 4
		b.t("v", KindVar, 0, 1, 1)                  // 5
		b.t(".x", KindDatasec, 1, 4, 5, 0, 4)       // 6
		b.t("fl", KindFloat, 0, 4)                  // 7
		b.t("td", KindTypedef, 0, 1)                // 8
		b.t("", KindPtr, 0, 1)                      // 9
		b.t("tag", KindDeclTag, 0, 8, ^uint32(0))   // 10
		b.t("bits", KindInt, 0, 4, 7)               // 11
		b.t("s", KindStruct, 1, 4).m("m", 1, 0)     // 12
		b.t("void_t", KindTypedef, 0, 0)            // 13
		return b.t("e", KindEnum, 1, 4).m("one", 1) // 14
	}
	for _, elem := range ids {
		for _, index := range ids {
			s.addf(base().t("", KindArray, 0, 0, elem, index, 2), "array of %d by %d", elem, index)
		}
		for _, n := range []uint32{0, 1, 0x3fffffff, 0x40000000, 0xffffffff} {
			s.addf(base().t("", KindArray, 0, 0, elem, 1, n), "array of %d elements of %d", n, elem)
			s.addf(base().t("", KindArray, 0, 0, elem, 1, n).t("", KindArray, 0, 0, 15, 1, n), "array of %d arrays of %d", n, elem)
		}
		for _, k := range []Kind{KindPtr, KindConst, KindVolatile, KindRestrict, KindTypedef, KindTypeTag, KindFunc, KindDeclTag, KindVar} {
			name := map[Kind]string{KindTypedef: "n", KindTypeTag: "n", KindFunc: "n", KindDeclTag: "n", KindVar: "n"}[k]
			b := base().t(name, k, 0, elem)
			tail(b, k, 0)
			s.addf(b, "%v to %d", k, elem)
			b = new(blob).t(name, k, 0, elem+1) // the referrer first
			tail(b, k, 0)
			s.addf(b.join(base(), 1), "%v to %d behind it", k, elem)
			s.addf(base().t("x", KindStruct, 1, 64).m("m", 16, 0).t(name, k, 0, elem), "member behind %v to %d", k, elem)
		}
		s.addf(base().t("x", KindStruct, 1, 64).m("m", elem, 0), "member of type %d", elem)
		s.addf(base().t("x", KindStruct, 1|flagged, 64).m("m", elem, 0), "flagged member of type %d", elem)
		s.addf(base().t("x", KindDatasec, 1, 64, elem, 0, 8), "section with %d", elem)
		s.addf(base().t("", KindFuncProto, 0, elem), "result of type %d", elem)
		s.addf(base().t("", KindFuncProto, 2, 0).m("a", elem).m("b", 1), "parameter of type %d", elem)
		s.addf(base().t("", KindFuncProto, 2, 0).m("a", 1).m("", elem), "last parameter of type %d", elem)
		s.addf(base().t("fn", KindFunc, 0, elem), "function of type %d", elem)
		s.addf(base().t("fn", KindFunc, 1, elem), "global function of type %d", elem)
	}
}

// join appends another blob, whose types refer to each other by ids that are
// moved by n. Only references among the kinds of arraySamples are moved.
func (b *blob) join(o *blob, n uint32) *blob {
	shift := uint32(len(b.strings))
	if shift == 0 {
		b.s("")
		shift = 1
	}
	b.strings = append(b.strings, o.strings...)
	for i := 0; i < len(o.types); {
		w := append([]uint32{}, o.types[i:]...)
		k, vlen := Kind(w[1]>>24&31), int(w[1]&0xffff)
		name := func(j int) {
			if w[j] != 0 {
				w[j] += shift
			}
		}
		name(0)
		size := 3 + (kinds[k].fixed+kinds[k].entry*vlen)/4
		switch k {
		case KindPtr, KindTypedef, KindConst, KindVolatile, KindRestrict, KindTypeTag, KindFunc, KindVar, KindDeclTag, KindFuncProto:
			if w[2] != 0 {
				w[2] += n
			}
		case KindArray:
			w[3], w[4] = w[3]+n, w[4]+n
		case KindStruct, KindUnion:
			for j := range vlen {
				name(3 + 3*j)
				w[4+3*j] += n
			}
		case KindDatasec:
			for j := range vlen {
				w[3+3*j] += n
			}
		case KindEnum:
			for j := range vlen {
				name(3 + 2*j)
			}
		}
		b.types = append(b.types, w[:size]...)
		i += size
	}
	return b
}

func memberSamples(s *set) {
	base := func() *blob {
		b := new(blob).int()                                 // 1
		b.t("u64", KindInt, 0, 8, 64)                        // 2
		b.t("i7", KindInt, 0, 4, 7)                          // 3
		b.t("o3", KindInt, 0, 4, 3<<16|7)                    // 4
		b.t("i128", KindInt, 0, 16, 128)                     // 5
		b.t("f", KindFloat, 0, 8)                            // 6
		b.t("f12", KindFloat, 0, 12)                         // 7
		b.t("", KindPtr, 0, 1)                               // 8
		b.t("", KindArray, 0, 0, 1, 1, 2)                    // 9
		b.t("e", KindEnum, 1, 4).m("A", 1)                   // 10
		b.t("e64", KindEnum64, 1, 8).m("B", 1, 0)            // 11
		b.t("in", KindStruct, 1, 4).m("x", 1, 0)             // 12
		b.t("td", KindTypedef, 0, 1)                         // 13
		b.t("", KindConst, 0, 9)                             // 14
		b.t("", KindVolatile, 0, 10)                         // 15
		b.t("un", KindUnion, 2, 8).m("x", 1, 0).m("y", 2, 0) // 16
		b.t("f2", KindFloat, 0, 2)                           // 17
		b.t("empty", KindStruct, 0, 0)                       // 18
		b.t("e1", KindEnum, 1, 1).m("C", 1)                  // 19
		return b.t("bool", KindInt, 0, 1, 4<<24|8)           // 20
	}
	for typ := uint32(1); typ <= 20; typ++ {
		for _, size := range []uint32{0, 1, 4, 8, 15, 16, 24} {
			for _, off := range []uint32{0, 1, 7, 8, 16, 25, 32, 64, 96, 127, 128, 0xfffff8, 0xffffffff} {
				s.addf(base().t("s", KindStruct, 1, size).m("m", typ, off), "member type %d at %d of %d", typ, off, size)
			}
		}
		for _, bits := range []uint32{0, 1, 4, 7, 8, 31, 32, 33, 63, 64, 65, 128, 200} {
			for _, off := range []uint32{0, 1, 8, 30, 32, 65, 127} {
				s.addf(base().t("s", KindStruct, 1|flagged, 16).m("m", typ, bits<<24|off), "member type %d, %d bits at %d", typ, bits, off)
			}
		}
		s.addf(base().t("s", KindUnion, 2, 16).m("m", typ, 0).m("n", typ, 8), "union member type %d at 8", typ)
	}
	s.add("offsets back", new(blob).int().t("s", KindStruct, 2, 16).m("m", 1, 32).m("n", 1, 0))
	s.add("same offset twice", new(blob).int().t("s", KindStruct, 2, 16).m("m", 1, 32).m("n", 1, 32))
	s.add("at the end, empty", new(blob).int().t("", KindArray, 0, 0, 1, 1, 0).t("s", KindStruct, 2, 4).m("m", 1, 0).m("n", 2, 32))
	s.add("behind the end, empty", new(blob).int().t("", KindArray, 0, 0, 1, 1, 0).t("s", KindStruct, 2, 4).m("m", 1, 0).m("n", 2, 33))
	for _, k := range []Kind{KindStruct, KindUnion} {
		for _, typ := range []uint32{0, 99, 0xfffff, 0x100000} {
			s.addf(new(blob).int().t("s", k, 1, 16).m("m", typ, 0), "%v with member of type %#x", k, typ)
		}
		s.addf(new(blob).int().t("s", k, 1, 0xffffffff).m("m", 1, 0xffffffff), "%v of the largest size", k)
	}
}

func enumSamples(s *set) {
	for _, k := range []Kind{KindEnum, KindEnum64} {
		for _, flag := range []uint32{0, flagged} {
			for _, size := range []uint32{0, 1, 2, 3, 4, 6, 8, 16, 0x80000000} {
				b := new(blob).t("e", k, 3|flag, size)
				for _, v := range []uint32{0, 0x7fffffff, 0xffffffff} {
					b.m(fmt.Sprint("V", v), v)
					if k == KindEnum64 {
						b.types = append(b.types, v)
					}
				}
				s.addf(b, "%v of size %d flag %#x", k, size, flag)
			}
		}
	}
}

func functionSamples(s *set) {
	proto := func(params ...any) *blob {
		b := new(blob).int().t("", KindFuncProto, uint32(len(params)/2), 1)
		for i := 0; i < len(params); i += 2 {
			b.m(params[i].(string), uint32(params[i+1].(int)))
		}
		return b
	}
	for link := range uint32(5) {
		s.addf(proto("a", 1).t("f", KindFunc, link, 2), "linkage %d", link)
		s.addf(proto("a", 1).t("f", KindFunc, link|flagged, 2), "flagged linkage %d", link)
	}
	s.add("unnamed parameter", proto("", 1).t("f", KindFunc, 0, 2))
	s.add("second unnamed", proto("a", 1, "", 1).t("f", KindFunc, 0, 2))
	s.add("vararg", proto("a", 1, "", 0).t("f", KindFunc, 0, 2))
	s.add("vararg alone", proto("", 0).t("f", KindFunc, 0, 2))
	s.add("vararg with a name", proto("a", 0).t("f", KindFunc, 0, 2))
	s.add("void in the middle", proto("a", 0, "b", 1).t("f", KindFunc, 0, 2))
	s.add("unnamed void in the middle", proto("", 0, "b", 1).t("f", KindFunc, 0, 2))
	s.add("function before its prototype", new(blob).t("f", KindFunc, 0, 2).t("", KindFuncProto, 1, 0).m("a", 3).int())
	s.add("function of a function", proto("a", 1).t("f", KindFunc, 0, 2).t("g", KindFunc, 0, 3))
	s.add("pointer to a function", proto("a", 1).t("f", KindFunc, 0, 2).t("", KindPtr, 0, 3))
	s.add("pointer to a function behind", new(blob).t("", KindPtr, 0, 2).t("f", KindFunc, 0, 3).t("", KindFuncProto, 0, 0))
	s.add("typedef of a function", proto("a", 1).t("f", KindFunc, 0, 2).t("td", KindTypedef, 0, 3).t("", KindPtr, 0, 4))
	s.add("typedef of a function behind", new(blob).t("td", KindTypedef, 0, 2).t("f", KindFunc, 0, 3).t("", KindFuncProto, 0, 0))
	s.add("pointer, typedef, function", new(blob).t("", KindPtr, 0, 2).t("td", KindTypedef, 0, 3).t("f", KindFunc, 0, 4).t("", KindFuncProto, 0, 0))
	s.add("prototype with a bad pointer", new(blob).t("", KindFuncProto, 1, 0).m("a", 2).t("", KindPtr, 0, 9))
	s.add("prototype with a loop", new(blob).t("", KindFuncProto, 1, 0).m("a", 2).t("", KindConst, 0, 3).t("", KindVolatile, 0, 2))
}

func variableSamples(s *set) {
	for link := range uint32(4) {
		s.addf(new(blob).int().t("v", KindVar, 0, 1, link), "variable linkage %d", link)
	}
	section := func(size uint32, vars ...uint32) *blob {
		b := new(blob).int().t("v", KindVar, 0, 1, 1).t("w", KindVar, 0, 1, 1).t("u64", KindInt, 0, 8, 64).t("x", KindVar, 0, 4, 1)
		return b.t(".data", KindDatasec, uint32(len(vars)/3), size, vars...)
	}
	for _, v := range [][]uint32{{2, 0, 4}, {2, 0, 4, 3, 4, 4}, {2, 4, 4, 3, 0, 4}, {2, 0, 4, 3, 2, 4}, {2, 0, 8}, {2, 0, 2}, {5, 0, 4}, {2, 0, 0},
		{2, 12, 4}, {2, 13, 4}, {2, 16, 4}, {2, 8, 12}, {2, 0, 17}, {1, 0, 4}, {0, 0, 4}, {6, 0, 4}, {99, 0, 4}, {2, 4, 0xfffffffe}, {2, 0, 4, 2, 4, 4}, {0x100000, 0, 4}} {
		s.addf(section(16, v...), "section with %v", v)
		s.addf(section(4, v...), "small section with %v", v)
		s.addf(section(0, v...), "empty section with %v", v)
		s.addf(section(0xffffffff, v...), "large section with %v", v)
	}
	s.add("section with a pointer's variable", new(blob).int().t("", KindPtr, 0, 1).t("v", KindVar, 0, 2, 1).t(".d", KindDatasec, 1, 8, 3, 0, 8))
	s.add("section before all", new(blob).t(".d", KindDatasec, 2, 16, 2, 0, 8, 3, 8, 4).t("v", KindVar, 0, 4, 1).t("w", KindVar, 0, 5, 1).t("", KindPtr, 0, 6).t("", KindArray, 0, 0, 6, 6, 1).int())
	s.add("variable of a struct that holds it", new(blob).t("v", KindVar, 0, 2, 1).t("s", KindStruct, 1, 8).m("p", 3, 0).t("", KindPtr, 0, 2))
	s.add("variable of a forward", new(blob).t("v", KindVar, 0, 2, 1).t("s", KindFwd, 0, 0))
	s.add("variable of const void", new(blob).t("v", KindVar, 0, 2, 1).t("", KindConst, 0, 0))
}

func tagSamples(s *set) {
	base := func() *blob {
		b := new(blob).int()
		b.t("s", KindStruct, 2, 8).m("a", 1, 0).m("b", 1, 32) // 2
		b.t("", KindFuncProto, 2, 0).m("x", 1).m("y", 1)      // 3
		b.t("f", KindFunc, 0, 3)                              // 4
		b.t("v", KindVar, 0, 1, 0)                            // 5
		b.t("td", KindTypedef, 0, 1)                          // 6
		b.t("", KindPtr, 0, 1)                                // 7
		b.t("u", KindUnion, 0, 8)                             // 8
		return b.t("tds", KindTypedef, 0, 2)                  // 9
	}
	for target := range uint32(12) {
		for _, c := range []uint32{0, 1, 2, 3, 0x7fffffff, ^uint32(0), ^uint32(1)} {
			for _, info := range []uint32{0, flagged, 1} {
				s.addf(base().t("tag", KindDeclTag, info, target, c), "tag on %d, component %d, info %#x", target, int32(c), info)
			}
		}
	}
	s.add("tag on a tag", base().t("tag", KindDeclTag, 0, 2, 0).t("tag", KindDeclTag, 0, 10, ^uint32(0)))
	s.add("tag on a bad function", new(blob).t("tag", KindDeclTag, 0, 2, 0).t("f", KindFunc, 0, 9))
	type link struct {
		k    Kind
		name string
	}
	con, tag, td, vol, ptr := link{KindConst, ""}, link{KindTypeTag, "tag"}, link{KindTypedef, "td"}, link{KindVolatile, ""}, link{KindPtr, ""}
	for _, chain := range [][]link{{tag}, {tag, con}, {con, tag}, {tag, tag}, {tag, con, tag}, {td, con, tag}, {tag, tag, con}, {ptr, tag, con},
		{ptr, con, tag}, {tag, ptr, con}, {tag, td}, {td, tag}, {vol, tag}, {tag, vol, td, con}, {tag, vol, td, con, tag}, {con, ptr, tag}} {
		for _, info := range []uint32{0, flagged} {
			down, up := new(blob).int(), new(blob)
			for i, l := range chain {
				x := uint32(0)
				if l == tag {
					x = info
				}
				next := uint32(i + 3)
				if i == len(chain)-1 {
					next = 1
				}
				down.t(l.name, l.k, x, next)
			}
			up.int()
			for i := range chain {
				l := chain[len(chain)-1-i]
				x := uint32(0)
				if l == tag {
					x = info
				}
				up.t(l.name, l.k, x, uint32(i+1))
			}
			s.addf(down, "chain down %v %#x", chain, info)
			s.addf(up, "chain up %v %#x", chain, info)
		}
	}
}

func referenceSamples(s *set) {
	for _, k := range []Kind{KindPtr, KindConst, KindTypedef, KindTypeTag, KindStruct, KindUnion, KindArray, KindVar, KindFunc, KindDeclTag, KindDatasec} {
		for _, l := range []Kind{KindPtr, KindConst, KindTypedef, KindTypeTag, KindStruct, KindUnion, KindArray, KindVar, KindFunc, KindDeclTag, KindDatasec} {
			for _, m := range []Kind{KindPtr, KindConst, KindStruct, KindArray} {
				b := new(blob)
				for i, kind := range []Kind{k, l, m} { // each refers to the next, the last to the first
					next := uint32(i+1)%3 + 1
					refer(b, kind, next)
				}
				s.addf(b.int(), "loop %v %v %v", k, l, m)
				b = new(blob)
				refer(b, k, 1)
				s.addf(b.int(), "loop of %v", k)
				b = new(blob)
				refer(b, k, 2)
				refer(b, l, 3)
				refer(b, m, 2)
				s.addf(b.int(), "%v into loop %v %v", k, l, m)
				b = new(blob)
				refer(b, k, 4)
				refer(b, l, 1)
				refer(b, m, 2)
				s.addf(b.int(), "back %v %v %v", k, l, m)
			}
		}
	}
}

// refer adds a type of a kind that refers to another. Types beside it are 4: an
// int.
func refer(b *blob, k Kind, id uint32) {
	switch k {
	case KindStruct, KindUnion:
		b.t("s", k, 1, 8).m("m", id, 0)
	case KindArray:
		b.t("", k, 0, 0, id, 4, 1)
	case KindVar:
		b.t("v", k, 0, id, 1)
	case KindDatasec:
		b.t(".d", k, 1, 8, id, 0, 8)
	case KindDeclTag:
		b.t("tag", k, 0, id, ^uint32(0))
	case KindTypedef, KindTypeTag, KindFunc:
		b.t("n", k, 0, id)
	default:
		b.t("", k, 0, id)
	}
}

func depthSamples(s *set) {
	for _, k := range []Kind{KindPtr, KindConst, KindTypedef, KindTypeTag, KindStruct, KindArray, KindUnion} {
		for _, n := range []int{1, 29, 30, 31, 32, 33, 34, 64} {
			down, up := new(blob), new(blob).int()
			for i := range n {
				chainLink(down, k, uint32(i+2), uint32(n+1))
				chainLink(up, k, uint32(i+1), 1)
			}
			s.addf(down.int(), "%d %v down", n, k)
			s.addf(up, "%d %v up", n, k)
		}
	}
	for _, n := range []int{15, 16, 17, 31, 32, 33} { // two kinds in turn
		b := new(blob)
		for i := range n {
			chainLink(b, []Kind{KindStruct, KindArray}[i%2], uint32(i+2), uint32(n+1))
		}
		s.addf(b.int(), "%d structs and arrays in turn", n)
		b = new(blob)
		for i := range n {
			chainLink(b, []Kind{KindPtr, KindConst}[i%2], uint32(i+2), uint32(n+1))
		}
		s.addf(b.int(), "%d pointers and const in turn", n)
		b = new(blob)
		for i := range n {
			chainLink(b, []Kind{KindStruct, KindPtr}[i%2], uint32(i+2), uint32(n+1))
		}
		s.addf(b.int(), "%d structs and pointers in turn", n)
	}
}

func chainLink(b *blob, k Kind, id, index uint32) {
	switch k {
	case KindStruct, KindUnion:
		b.t("s", k, 1, 8).m("m", id, 0)
	case KindArray:
		b.t("", k, 0, 0, id, index, 1)
	case KindTypedef, KindTypeTag:
		b.t("n", k, 0, id)
	default:
		b.t("", k, 0, id)
	}
}
