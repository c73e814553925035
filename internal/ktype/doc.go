// Package ktype defines the kernel-side structures that a program works on
// once its context accesses are lowered: sk_buff, xdp_buff, net_device, sock.
//
// They live off the Go heap, so they hold addresses ([Ptr]) instead of Go
// pointers. The members carry Linux's names in the btf tag, with "*type" where
// Linux has a pointer; the layout is skep's own, since no program may depend on
// Linux's: bit-fields of Linux are whole bytes here, so that one load reads
// them.
package ktype

// Ptr is the address of another structure in the kernel's region, 0 for NULL.
type Ptr = uint64
