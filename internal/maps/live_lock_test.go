package maps

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/internal/oracle"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// lockBTF describes a value of 16 bytes with a spin lock at offset 4.
func lockBTF(t *testing.T) (b *oracle.BTF, key, value uint32) {
	t.Helper()
	u32 := &btf.Int{Name: "unsigned int", Size: 4}
	lock := &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{{Name: "val", Type: u32}}}
	val := &btf.Struct{Name: "value", Size: 16, Members: []btf.Member{
		{Name: "a", Type: u32}, {Name: "lock", Type: lock, Offset: 32},
		{Name: "b", Type: u32, Offset: 64}, {Name: "c", Type: u32, Offset: 96},
	}}
	builder, err := btf.NewBuilder([]btf.Type{u32, val}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[btf.Type]uint32{}
	for _, typ := range []btf.Type{u32, val} {
		id, err := builder.Add(typ)
		if err != nil {
			t.Fatal(err)
		}
		ids[typ] = uint32(id)
	}
	raw, err := builder.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return oracle.LoadBTF(t, raw, 1), ids[u32], ids[val]
}

// A spin lock in the value never leaves or enters the kernel, and BPF_F_LOCK is
// allowed.
func TestSpinLockLive(t *testing.T) {
	oracle.Require(t)
	b, key, value := lockBTF(t)
	off := uint32(4)
	for _, s := range []Spec{
		{Type: uapi.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 16, MaxEntries: 3},
		{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: 16, MaxEntries: 5, Flags: uapi.BPF_F_ZERO_SEED},
		{Type: uapi.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: 16, MaxEntries: 5, Flags: uapi.BPF_F_ZERO_SEED | uapi.BPF_F_NO_PREALLOC},
	} {
		t.Run(fmt.Sprintf("%s/%#x", s.Type.LibName(), s.Flags), func(t *testing.T) {
			ls := liveSpec(s)
			ls.BTF, ls.BTFKeyID, ls.BTFValueID = b, key, value
			s.SpinLock = &off
			p := &pair{t: t, skep: newMap(t, newMachine(t, oracle.PossibleCPUs()), s), live: oracle.NewMap(t, ls)}
			rng := rand.New(rand.NewPCG(9, 9))
			for range 2000 {
				k := smallKeys(6)(rng, 4)
				flags := []uint64{0, 1, 2, 4, 5, 6, 7}[rng.IntN(7)]
				switch rng.IntN(6) {
				case 0, 1:
					p.update(k, randomBytes(rng, 16), flags)
				case 2:
					p.lookup(k, flags)
				case 3:
					p.delete(k)
				case 4:
					p.lookupAndDelete(k, flags)
				case 5:
					n := rng.Uint32N(5)
					p.batch(&batchCall{
						cmd: uapi.BPF_MAP_LOOKUP_BATCH + uapi.Cmd(rng.IntN(4)), count: n, elemFlags: flags &^ 3,
						keys: make([]byte, 4*n), values: make([]byte, 16*n), out: make([]byte, 4),
					})
				}
			}
			p.walk()
		})
	}
}
