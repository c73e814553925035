package netbuf

import (
	"math/bits"

	"github.com/skep-ebpf/skep/internal/ktype"
)

// slab is the size of the kernel allocation that a packet's buffer would be in.
// The kernel uses all of it, and a buffer that is full moves to the next size,
// so that after some ten to fourteen moves a packet cannot grow any more,
// however small it is. skep's own buffers are as long as they need to be, and
// only keep this count to fail where the kernel does.
type slab uint32

const (
	// smallHead is SKB_SMALL_HEAD_CACHE_SIZE, a cache for short packets.
	smallHead = 704
	// maxKmalloc is KMALLOC_MAX_SIZE.
	maxKmalloc = 4 << 20
)

// kmallocSize is what kmalloc hands out for n bytes: powers of two, in the range
// that packets have.
func kmallocSize(n uint32) slab { return slab(1) << bits.Len32(n-1) }

// end is where the shared info begins.
func (s slab) end() uint32 { return uint32(s) - ktype.SizeofSharedInfo }

// expand is the allocation for n bytes more, 0 where there is none so large
// (pskb_expand_head, kmalloc_reserve).
func (s slab) expand(n uint32) slab {
	want := alignData(s.end()+n) + ktype.SizeofSharedInfo
	switch {
	case want <= smallHead:
		return smallHead
	case want > maxKmalloc:
		return 0
	}
	return kmallocSize(want)
}
