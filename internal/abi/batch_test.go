package abi_test

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// batched are types of map with the sizes of a key and of a value as user space
// sees it.
var batched = []struct {
	name       string
	attr       uapi.MapCreateAttr
	key, value int
}{
	{"hash", mapAttr(uapi.BPF_MAP_TYPE_HASH, 4, 8, 8, 0), 4, 8},
	{"hash, allocated as needed", mapAttr(uapi.BPF_MAP_TYPE_HASH, 4, 8, 8, uapi.BPF_F_NO_PREALLOC), 4, 8},
	{"LRU hash", mapAttr(uapi.BPF_MAP_TYPE_LRU_HASH, 4, 8, 64, 0), 4, 8},
	{"per-CPU hash", mapAttr(uapi.BPF_MAP_TYPE_PERCPU_HASH, 4, 8, 8, 0), 4, 8 * oracle.PossibleCPUs()},
	{"per-CPU hash of odd values", mapAttr(uapi.BPF_MAP_TYPE_PERCPU_HASH, 4, 5, 8, 0), 4, 8 * oracle.PossibleCPUs()},
	{"per-CPU LRU hash", mapAttr(uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH, 4, 8, 64, 0), 4, 8 * oracle.PossibleCPUs()},
	{"array", mapAttr(uapi.BPF_MAP_TYPE_ARRAY, 4, 8, 4, 0), 4, 8},
	{"per-CPU array", mapAttr(uapi.BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 4, 0), 4, 8 * oracle.PossibleCPUs()},
	{"trie", mapAttr(uapi.BPF_MAP_TYPE_LPM_TRIE, 8, 8, 8, uapi.BPF_F_NO_PREALLOC), 8, 8},
	{"queue", mapAttr(uapi.BPF_MAP_TYPE_QUEUE, 0, 8, 8, 0), 0, 8},
	{"stack", mapAttr(uapi.BPF_MAP_TYPE_STACK, 0, 8, 8, 0), 0, 8},
	{"programs", mapAttr(uapi.BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 4, 0), 4, 4},
	{"perf events", mapAttr(uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 4, 0), 4, 4},
	{"ring buffer", mapAttr(uapi.BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0), 0, 0},
}

var batchCommands = []uapi.Cmd{
	uapi.BPF_MAP_UPDATE_BATCH, uapi.BPF_MAP_LOOKUP_BATCH, uapi.BPF_MAP_LOOKUP_AND_DELETE_BATCH, uapi.BPF_MAP_DELETE_BATCH,
}

// batchTypes: the batch commands on every type of map, sound and not.
func batchTypes(b *box) {
	for _, t := range batched {
		m := uint32(b.sudo(uapi.BPF_MAP_CREATE, enc(&t.attr)))
		fill := newBatch(t.key, t.value, 4)
		for i := range 4 {
			fill.set(i, uint32(i), uint64(i+100))
		}
		refill := func() { b.batch(t.name+": fill", uapi.BPF_MAP_UPDATE_BATCH, m, fill, 4, nil) }
		for _, cmd := range batchCommands {
			b.batchErrors(fmt.Sprintf("%s: %v", t.name, cmd), cmd, m, t.key, t.value, refill)
		}
		refill()
		for _, cmd := range []uapi.Cmd{uapi.BPF_MAP_LOOKUP_BATCH, uapi.BPF_MAP_LOOKUP_AND_DELETE_BATCH} {
			b.batch(fmt.Sprintf("%s: %v of all", t.name, cmd), cmd, m, newBatch(t.key, t.value, 64), 64, nil)
			b.batch(fmt.Sprintf("%s: %v of all again", t.name, cmd), cmd, m, newBatch(t.key, t.value, 64), 64, nil)
		}
	}
}

// batchErrors makes one thing wrong after the other. How many elements are lost
// on the way depends on the hash, hence each starts with a full map.
func (b *box) batchErrors(label string, cmd uapi.Cmd, m uint32, key, value int, refill func()) {
	type attr = uapi.MapBatchAttr
	for _, c := range []struct {
		name  string
		count uint32
		set   func(a *attr)
	}{
		{"nothing", 0, nil},
		{"a bad fd", 4, func(a *attr) { a.MapFD = 7777 }},
		{"flags", 4, func(a *attr) { a.Flags = 1 }},
		{"element flags", 4, func(a *attr) { a.ElemFlags = 1 << 20 }},
		{"a lock", 4, func(a *attr) { a.ElemFlags = uapi.BPF_F_LOCK }},
		{"existing only", 4, func(a *attr) { a.ElemFlags = uapi.BPF_EXIST }},
		{"bad keys", 4, func(a *attr) { a.Keys = badAddr }},
		{"no keys", 4, func(a *attr) { a.Keys = 0 }},
		{"bad values", 4, func(a *attr) { a.Values = badAddr }},
		{"a bad token in", 4, func(a *attr) { a.InBatch = badAddr }},
		{"a bad token out", 4, func(a *attr) { a.OutBatch = badAddr }},
		{"no token out", 4, func(a *attr) { a.OutBatch = 0 }},
		{"a token far out", 4, func(a *attr) { a.InBatch = b.addr(u64(1 << 30)) }},
	} {
		data := newBatch(key, value, 8)
		for i := range 8 {
			data.set(i, uint32(i), uint64(i+200))
		}
		refill()
		b.batch(label+", "+c.name, cmd, m, data, c.count, c.set)
	}
	// More than there is room for: what is written before the fault is told.
	for _, count := range []uint32{1 << 20, 1<<32 - 1} {
		page := newBatch(key, value, 64)
		refill()
		b.batch(fmt.Sprintf("%s, %d", label, count), cmd, m, page, count, func(a *attr) { a.Values = badAddr })
	}
}

// batchData are the arrays of a batch.
type batchData struct {
	key, value   int
	keys, values []byte
	token        []byte
}

func newBatch(key, value, n int) *batchData {
	return &batchData{key, value, make([]byte, max(key*n, 1)), make([]byte, max(value*n, 1)), make([]byte, 16)}
}

func (d *batchData) set(i int, k uint32, v uint64) {
	switch d.key {
	case 4:
		binary.LittleEndian.PutUint32(d.keys[4*i:], k)
	case 8: // a prefix of 32 bits
		binary.LittleEndian.PutUint32(d.keys[8*i:], 32)
		binary.LittleEndian.PutUint32(d.keys[8*i+4:], k)
	}
	for at := 0; at+8 <= d.value; at += 8 {
		binary.LittleEndian.PutUint64(d.values[d.value*i+at:], v)
	}
}

// batch runs a command and notes what it answers and the elements that it says
// it dealt with, whatever their order.
func (b *box) batch(label string, cmd uapi.Cmd, m uint32, d *batchData, count uint32, change func(a *uapi.MapBatchAttr)) {
	a := uapi.MapBatchAttr{MapFD: m, Keys: b.addr(d.keys), Values: b.addr(d.values), OutBatch: b.addr(d.token), Count: count}
	if change != nil {
		change(&a)
	}
	attr := enc(&a)
	b.call(label, cmd, attr)
	a.Decode(attr)
	var elems []string
	for i := range min(int(a.Count), 64) {
		if (i+1)*d.key > len(d.keys) || (i+1)*d.value > len(d.values) {
			break
		}
		elems = append(elems, fmt.Sprintf("%x=%x", d.keys[i*d.key:(i+1)*d.key], d.values[i*d.value:(i+1)*d.value]))
	}
	slices.Sort(elems)
	b.note("%s: count %d: %v", label, a.Count, elems)
}
