// Package maps holds eBPF's map types, one file a type.
//
// A map has two faces. Programs reach it through helpers, which hand over
// addresses of keys and values in the kernel's region and get addresses back;
// that face never allocates on the Go heap. System calls reach it with byte
// slices that were copied from the caller's memory. Both work at the same time
// from any number of goroutines.
//
// What a program may point to (the map's header, elements, values, ring buffer
// records) is off the Go heap. Elements that a running program may still see
// are freed after a grace period (exec.Machine.Defer).
//
// Lock order in a hash table: the lock for updates from system calls, then an
// LRU's local list, its global list, and a bucket; every other map has one
// lock. No lock is held across a call into the layer above.
package maps
