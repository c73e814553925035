package maps

import (
	"encoding/binary"
	"math/bits"
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/exec"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// A node of the trie, off the Go heap: two children, the length of its prefix,
// a flag for nodes that only join two others, the prefix, the value.
const (
	nodeLen  = 16
	nodeJoin = 20
	nodeData = 24

	lpmNodeLen = 24 // sizeof(struct lpm_trie_node)
	lpmMinKey  = 4 + 1
	lpmMaxKey  = 4 + 256
)

// lpmCheck mirrors the checks of trie_alloc.
func lpmCheck(s *Spec) errno.Errno {
	if s.MaxEntries == 0 || s.Flags&uapi.BPF_F_NO_PREALLOC == 0 ||
		s.Flags&^(uapi.BPF_F_NO_PREALLOC|uapi.BPF_F_NUMA_NODE|accessFlags) != 0 || !accessOK(s.Flags) ||
		s.KeySize < lpmMinKey || s.KeySize > lpmMaxKey ||
		s.ValueSize == 0 || s.ValueSize > kmallocMax-256-lpmNodeLen {
		return errno.EINVAL
	}
	return 0
}

// LPMTrie is BPF_MAP_TYPE_LPM_TRIE: a binary trie in which a node's children
// extend its prefix, with no node that has one child and no value. Programs
// walk it without a lock; nodes that are taken out live until they are done.
type LPMTrie struct {
	*base
	root   uint64 // address of the link to the root
	bytes  uint64 // of a prefix
	maxLen uint32
	valOff uint64

	mu sync.Mutex // held by everything but lookups of programs
	n  uint32     // nodes with a value
}

func newLPMTrie(b *base) (Map, error) {
	n := uint64(b.spec.KeySize) - 4
	root, err := b.alloc(8, 8)
	return &LPMTrie{base: b, root: root, bytes: n, maxLen: uint32(n * 8), valOff: nodeData + roundUp(n, 8)}, err
}

// prefix is a key, taken apart.
type prefix struct {
	len  uint32
	data []byte
}

func (t *LPMTrie) prefix(key []byte) prefix {
	return prefix{binary.LittleEndian.Uint32(key), key[4:]}
}

// bit is the first bit that is not part of a prefix of n bits: which child to
// go to.
func bit(data []byte, n uint32) uint64 { return uint64(data[n/8]>>(7-n%8)) & 1 }

func (t *LPMTrie) data(node uint64) []byte { return mem.Bytes(node+nodeData, t.bytes) }

func nodePrefixLen(node uint64) uint32 { return uint32(mem.Load32(node + nodeLen)) }

func child(node, which uint64) uint64 { return node + 8*which }

func follow(link uint64) uint64 { return mem.Atomic64(link).Load() }

func isJoin(node uint64) bool { return mem.Atomic32(node+nodeJoin).Load() != 0 }

// match is how many bits a node's prefix and p have in common.
func (t *LPMTrie) match(node uint64, p prefix) uint32 {
	limit := min(nodePrefixLen(node), p.len)
	return min(commonBits(t.data(node), p.data, limit), limit)
}

// commonBits counts equal leading bits, at least up to limit.
func commonBits(a, b []byte, limit uint32) uint32 {
	n := uint32(0)
	for ; len(a) >= 8 && n < limit; a, b = a[8:], b[8:] {
		if d := binary.BigEndian.Uint64(a) ^ binary.BigEndian.Uint64(b); d != 0 {
			return n + uint32(bits.LeadingZeros64(d))
		}
		n += 64
	}
	if len(a) >= 4 && n < limit {
		if d := binary.BigEndian.Uint32(a) ^ binary.BigEndian.Uint32(b); d != 0 {
			return n + uint32(bits.LeadingZeros32(d))
		}
		n, a, b = n+32, a[4:], b[4:]
	}
	for i := 0; i < len(a) && n < limit; i++ {
		if d := a[i] ^ b[i]; d != 0 {
			return n + uint32(bits.LeadingZeros8(d))
		}
		n += 8
	}
	return n
}

// longest is the node with the longest prefix of p that has a value.
func (t *LPMTrie) longest(p prefix) (found uint64) {
	if p.len > t.maxLen {
		return 0
	}
	for node := follow(t.root); node != 0; {
		n := nodePrefixLen(node)
		if t.match(node, p) < n {
			break
		}
		if !isJoin(node) {
			found = node
		}
		if n == t.maxLen {
			break
		}
		node = follow(child(node, bit(p.data, n)))
	}
	return found
}

// descend follows p to the first node that is not a shorter prefix of it; 0 at
// the end of a branch. path receives the links that were followed.
func (t *LPMTrie) descend(p prefix, path []uint64) (node uint64, matched uint32, links []uint64) {
	link := t.root
	for {
		path = append(path, link)
		if node = follow(link); node == 0 {
			return 0, 0, path
		}
		matched = t.match(node, p)
		if n := nodePrefixLen(node); n != matched || n == p.len {
			return node, matched, path
		}
		link = child(node, bit(p.data, matched))
	}
}

func (t *LPMTrie) newNode(p prefix, length uint32) (uint64, errno.Errno) {
	node, err := t.m.Region.Alloc(t.valOff+uint64(t.spec.ValueSize), 8)
	if err != nil {
		return 0, errno.ENOMEM
	}
	mem.Store32(node+nodeLen, uint64(length))
	copy(t.data(node), p.data)
	return node, 0
}

// retire frees a node once no program can be looking at it.
func (t *LPMTrie) retire(node uint64) { t.m.Defer(func() { t.m.Region.Free(node) }) }

// update mirrors trie_update_elem.
func (t *LPMTrie) update(key, value []byte, flags uint64) errno.Errno {
	p := t.prefix(key)
	if flags > uapi.BPF_EXIST || p.len > t.maxLen {
		return errno.EINVAL
	}
	leaf, e := t.newNode(p, p.len)
	if e != 0 {
		return e
	}
	t.store(leaf+t.valOff, value, 0)
	old, e := t.insert(p, leaf, flags)
	if e != 0 {
		t.m.Region.Free(leaf)
	}
	if old != 0 {
		t.retire(old)
	}
	return e
}

// insert puts a leaf into the trie and returns the node that it replaces.
func (t *LPMTrie) insert(p prefix, leaf uint64, flags uint64) (old uint64, e errno.Errno) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var buf [64]uint64
	node, matched, path := t.descend(p, buf[:0])
	link := path[len(path)-1]
	exact := node != 0 && matched == nodePrefixLen(node)
	if exact && !isJoin(node) {
		if flags == uapi.BPF_NOEXIST {
			return 0, errno.EEXIST
		}
	} else if flags == uapi.BPF_EXIST {
		return 0, errno.ENOENT
	} else if t.n == t.spec.MaxEntries {
		return 0, errno.ENOSPC
	}
	switch {
	case node == 0:
	case exact: // takes the node's place
		mem.Store64(child(leaf, 0), follow(child(node, 0)))
		mem.Store64(child(leaf, 1), follow(child(node, 1)))
		mem.Atomic64(link).Store(leaf)
		if isJoin(node) {
			t.n++
		}
		return node, 0
	case matched == p.len: // becomes the node's parent
		mem.Store64(child(leaf, bit(t.data(node), matched)), node)
	default: // becomes the node's sibling
		join, e := t.newNode(p, matched)
		if e != 0 {
			return 0, e
		}
		// The bits behind the prefix are those of the older child, as in Linux.
		copy(t.data(join), t.data(node))
		mem.Store32(join+nodeJoin, 1)
		side := bit(p.data, matched)
		mem.Store64(child(join, side), leaf)
		mem.Store64(child(join, 1-side), node)
		leaf = join
	}
	mem.Atomic64(link).Store(leaf)
	t.n++
	return 0, 0
}

// remove mirrors trie_delete_elem.
func (t *LPMTrie) remove(key []byte) errno.Errno {
	p := t.prefix(key)
	if p.len > t.maxLen {
		return errno.EINVAL
	}
	gone, e := t.cut(p)
	for _, node := range gone {
		if node != 0 {
			t.retire(node)
		}
	}
	return e
}

// cut takes a prefix out, and a join that is left with one child.
func (t *LPMTrie) cut(p prefix) (gone [2]uint64, e errno.Errno) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var buf [64]uint64
	node, matched, path := t.descend(p, buf[:0])
	if node == 0 || nodePrefixLen(node) != matched || isJoin(node) {
		return gone, errno.ENOENT
	}
	t.n--
	link := path[len(path)-1]
	left, right := follow(child(node, 0)), follow(child(node, 1))
	if left != 0 && right != 0 {
		mem.Atomic32(node + nodeJoin).Store(1)
		return gone, 0
	}
	gone[0] = node
	if left == 0 && right == 0 && len(path) > 1 {
		up := path[len(path)-2]
		if parent := follow(up); isJoin(parent) {
			gone[1] = parent
			left, link = follow(child(parent, 0))+follow(child(parent, 1))-node, up
		}
	}
	mem.Atomic64(link).Store(left + right)
	return gone, 0
}

// LookupElem implements [Program].
func (t *LPMTrie) LookupElem(_ *exec.CPU, key uint64) uint64 {
	if node := t.longest(t.prefix(mem.Bytes(key, uint64(t.spec.KeySize)))); node != 0 {
		return node + t.valOff
	}
	return 0
}

// UpdateElem implements [Program].
func (t *LPMTrie) UpdateElem(_ *exec.CPU, key, value, flags uint64) errno.Errno {
	return t.update(mem.Bytes(key, uint64(t.spec.KeySize)), mem.Bytes(value, uint64(t.spec.ValueSize)), flags)
}

// DeleteElem implements [Program].
func (t *LPMTrie) DeleteElem(_ *exec.CPU, key uint64) errno.Errno {
	return t.remove(mem.Bytes(key, uint64(t.spec.KeySize)))
}

// Lookup implements [Syscall].
func (t *LPMTrie) Lookup(key, value []byte, flags uint64) errno.Errno {
	if e := t.readFlags(flags); e != 0 {
		return e
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	node := t.longest(t.prefix(key))
	if node == 0 {
		return errno.ENOENT
	}
	t.load(value, node+t.valOff, 0)
	return 0
}

// Update implements [Syscall].
func (t *LPMTrie) Update(key, value []byte, flags uint64) errno.Errno {
	return t.update(key, value, flags)
}

// Delete implements [Syscall].
func (t *LPMTrie) Delete(key []byte) errno.Errno { return t.remove(key) }

// NextKey mirrors trie_get_next_key: longer prefixes come before the shorter
// ones that they extend (postorder).
func (t *LPMTrie) NextKey(key, next []byte) errno.Errno {
	t.mu.Lock()
	defer t.mu.Unlock()
	node := follow(t.root)
	if node == 0 {
		return errno.ENOENT
	}
	if key == nil {
		node = deepest(node)
	} else if node = t.after(t.prefix(key)); node == 0 {
		return errno.ENOENT
	}
	binary.LittleEndian.PutUint32(next, nodePrefixLen(node))
	copy(next[4:], t.data(node))
	return 0
}

// deepest is the first node in postorder below node.
func deepest(node uint64) uint64 {
	for {
		down := follow(child(node, 0))
		if down == 0 {
			down = follow(child(node, 1))
		}
		if down == 0 {
			return node
		}
		node = down
	}
}

// after is the node that follows p in postorder, the first one if p is not in
// the trie, 0 behind the last.
func (t *LPMTrie) after(p prefix) uint64 {
	if p.len > t.maxLen {
		return deepest(follow(t.root))
	}
	node, matched, path := t.descend(p, nil)
	if node == 0 || nodePrefixLen(node) != matched || isJoin(node) {
		return deepest(follow(t.root))
	}
	for i := len(path) - 2; i >= 0; i-- {
		parent := follow(path[i])
		if right := follow(child(parent, 1)); right != 0 && right != node {
			return deepest(right)
		}
		if !isJoin(parent) {
			return parent
		}
		node = parent
	}
	return 0
}

// LookupBatch implements [Syscall].
func (t *LPMTrie) LookupBatch(b *Batch) errno.Errno { return lookupBatch(t, b) }

// UpdateBatch implements [Syscall].
func (t *LPMTrie) UpdateBatch(b *Batch) errno.Errno { return updateBatch(t, b) }

// DeleteBatch implements [Syscall].
func (t *LPMTrie) DeleteBatch(b *Batch) errno.Errno { return deleteBatch(t, b) }

// Free implements [Map].
func (t *LPMTrie) Free() {
	t.m.Defer(func() {
		t.freeBelow(follow(t.root))
		t.release()
	})
}

func (t *LPMTrie) freeBelow(node uint64) {
	if node != 0 {
		t.freeBelow(follow(child(node, 0)))
		t.freeBelow(follow(child(node, 1)))
		t.m.Region.Free(node)
	}
}

// MemUsage mirrors trie_mem_usage.
func (t *LPMTrie) MemUsage() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return (lpmNodeLen + t.bytes + uint64(t.spec.ValueSize)) * uint64(t.n)
}
