//go:build !unix && !windows

package mem

// A host without address-space calls (js/wasm) lends a piece of the Go heap,
// which Go does not move.
const defaultLimit = 64 << 20

func reserve(size uint64) (uint64, func() error, error) {
	b := make([]byte, size+pageSize)
	base := (HostAddr(b) + pageSize - 1) &^ (pageSize - 1)
	return base, func() error { b = nil; return nil }, nil
}

func commit(addr, size uint64) error { return nil }

func zero(addr, size uint64) { clear(Bytes(addr, size)) }
