package kbtf

import "github.com/skep-ebpf/skep/internal/errno"

// Decode reads the types of BTF, by id, without most of the kernel's checks: as
// compilers write it, before a loader gave sections their sizes. Sizes and
// references are in bounds; what types make of each other is not looked at.
func Decode(data []byte) ([]Type, error) {
	p := &parser{loose: true, btf: &BTF{data: data, byName: map[string][]ID{}}}
	if len(data) > MaxSize {
		return nil, errno.Errorf(errno.E2BIG, "BTF of %d bytes; the limit is %d", len(data), MaxSize)
	}
	for _, step := range []func() error{p.header, p.stringSection, p.typeSection} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	types := p.btf.types
	for i := range types {
		if id, ok := types[i].reaches(ID(len(types))); !ok {
			return nil, errno.Errorf(errno.EINVAL, "bad BTF: type %d refers to type %d, which is not there", i, id)
		}
	}
	return types, nil
}

// reaches says whether all that the type refers to is below n.
func (t *Type) reaches(n ID) (bad ID, ok bool) {
	for _, id := range []ID{t.Ref, t.Index} {
		if id >= n {
			return id, false
		}
	}
	for _, m := range t.Members {
		if m.Type >= n {
			return m.Type, false
		}
	}
	return 0, true
}
