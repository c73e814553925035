// Package kbtf is the kernel's side of BTF: it checks what BTF_LOAD is given,
// looks types up, and holds skep's own kernel types.
package kbtf

// BTF is a checked set of types.
type BTF struct {
	data []byte
}

// Raw is the BTF as it was loaded. It must not be changed.
func (b *BTF) Raw() []byte { return b.data }
