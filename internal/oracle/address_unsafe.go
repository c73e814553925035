package oracle

import "unsafe"

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }
