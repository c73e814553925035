package object

import "github.com/skep-ebpf/skep/internal/kbtf"

// BTF is loaded type information with its life.
type BTF struct {
	Header
	*kbtf.BTF
	Name   string
	Kernel bool // made by the kernel itself
}

// NewBTF registers checked BTF. The caller holds the first reference.
func NewBTF(r *Registry, b *kbtf.BTF) (*BTF, error) {
	o := &BTF{BTF: b}
	return o, r.Add(o, KindBTF, nil)
}
