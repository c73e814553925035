package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/uapi"
	"github.com/skep-ebpf/skep/internal/usermem"
)

// kernelName is the name that the kernel shows. Data sections carry the start of
// the object's name in front, but for those with two dots in their names
// (libbpf's internal_map_name).
func (o *Object) kernelName(name string) (out [uapi.BPF_OBJ_NAME_LEN]byte) {
	const room, shortest = uapi.BPF_OBJ_NAME_LEN - 1, len(".rodata")
	if strings.HasPrefix(name, ".") && strings.LastIndexByte(name, '.') == 0 {
		prefix, _, _ := strings.Cut(o.Name, ".")
		name = prefix[:min(len(prefix), max(room-max(len(name), shortest), 0))] + name
	}
	n := copy(out[:room], name)
	for i := range n {
		c := out[i]
		if !(c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			out[i] = '_'
		}
	}
	return out
}

// shareData lets user space map data sections that have variables for it, as
// libbpf does (map_is_mmapable): a section of static ones may hold what must not
// be mapped, a lock.
func shareData(spec *ebpf.CollectionSpec) {
	for _, m := range spec.Maps {
		ds, ok := m.Value.(*btf.Datasec)
		if ok && slices.ContainsFunc(ds.Vars, isGlobal) {
			m.Flags |= uapi.BPF_F_MMAPABLE
		}
	}
}

func isGlobal(v btf.VarSecinfo) bool {
	b, ok := v.Type.(*btf.Var)
	return ok && b.Linkage != btf.StaticVar
}

func (i *Instance) createMap(name string, ids typeIDs) error {
	spec := i.Object.Spec.Maps[name]
	if spec.Pinning == ebpf.PinByName {
		fd, ok, err := i.pinned(name, spec)
		if err != nil {
			return err
		}
		if ok {
			i.Maps[name] = &Map{fd, name, spec}
			return nil
		}
	}
	inner := -1
	if spec.InnerMap != nil {
		fd, err := i.mapCreate(name+".inner", spec.InnerMap, typeIDs{}, -1)
		if err != nil {
			return fmt.Errorf("inner map: %w", err)
		}
		inner = fd
		defer i.caller.Close(fd)
	}
	fd, err := i.mapCreate(name, spec, ids, inner)
	if err != nil {
		return err
	}
	i.Maps[name] = &Map{fd, name, spec}
	if spec.Pinning == ebpf.PinByName {
		return i.pin(fd, pinDir+name)
	}
	return nil
}

func (i *Instance) mapCreate(name string, spec *ebpf.MapSpec, ids typeIDs, inner int) (int, error) {
	a := uapi.MapCreateAttr{
		MapType: uapi.MapType(spec.Type), KeySize: spec.KeySize, ValueSize: spec.ValueSize,
		MaxEntries: spec.MaxEntries, MapFlags: spec.Flags, NumaNode: spec.NumaNode, MapExtra: spec.MapExtra,
		MapName: i.Object.kernelName(name),
	}
	if inner >= 0 {
		a.InnerMapFD = uint32(inner)
	}
	if ids.value != 0 {
		a.BTFFD, a.BTFKeyTypeID, a.BTFValueTypeID = uint32(i.btfFD), ids.key, ids.value
	}
	i.sizeMap(&a)
	attr := make([]byte, uapi.MapCreateAttrEnd)
	a.Encode(attr)
	return i.caller.BPF(nil, uapi.BPF_MAP_CREATE, attr)
}

// sizeMap fills in what declarations leave away.
func (i *Instance) sizeMap(a *uapi.MapCreateAttr) {
	switch a.MapType {
	case uapi.BPF_MAP_TYPE_ARRAY_OF_MAPS, uapi.BPF_MAP_TYPE_HASH_OF_MAPS:
		a.ValueSize = 4
	case uapi.BPF_MAP_TYPE_PERF_EVENT_ARRAY:
		a.KeySize, a.ValueSize = 4, 4
		if n := uint32(i.caller.CPUs()); a.MaxEntries == 0 || a.MaxEntries > n {
			a.MaxEntries = n
		}
	}
}

const pinDir = "/sys/fs/bpf/"

// pinned opens a map that is pinned by name already, if it fits.
func (i *Instance) pinned(name string, spec *ebpf.MapSpec) (int, bool, error) {
	var mem usermem.Segments
	a := uapi.ObjAttr{Pathname: mem.AddString(pinDir + name)}
	attr := make([]byte, uapi.ObjAttrEnd)
	a.Encode(attr)
	fd, err := i.caller.BPF(&mem, uapi.BPF_OBJ_GET, attr)
	if errors.Is(err, errno.ENOENT) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("%s%s: %w", pinDir, name, err)
	}
	info := make([]byte, uapi.SizeofMapInfo)
	var imem usermem.Segments
	ia := uapi.InfoAttr{BpfFD: uint32(fd), InfoLen: uint32(len(info)), Info: imem.Add(info)}
	iattr := make([]byte, uapi.InfoAttrEnd)
	ia.Encode(iattr)
	if _, err := i.caller.BPF(&imem, uapi.BPF_OBJ_GET_INFO_BY_FD, iattr); err != nil {
		i.caller.Close(fd)
		return 0, false, err
	}
	var m uapi.MapInfo
	m.Decode(info)
	if m.Type != uapi.MapType(spec.Type) || m.KeySize != spec.KeySize || m.ValueSize != spec.ValueSize || m.MaxEntries != spec.MaxEntries || m.MapFlags != spec.Flags {
		i.caller.Close(fd)
		return 0, false, fmt.Errorf("%s%s is pinned already and has other sizes or flags: remove it, or change the object", pinDir, name)
	}
	return fd, true, nil
}

func (i *Instance) pin(fd int, path string) error {
	var mem usermem.Segments
	a := uapi.ObjAttr{Pathname: mem.AddString(path), BpfFD: uint32(fd)}
	attr := make([]byte, uapi.ObjAttrEnd)
	a.Encode(attr)
	_, err := i.caller.BPF(&mem, uapi.BPF_OBJ_PIN, attr)
	return err
}

// fillMap writes the initial contents and freezes read-only data.
func (i *Instance) fillMap(m *Map) error {
	if m.Name == kconfigSection {
		data, err := fillKconfig(m.Spec, i.Object.externs.weak)
		if err != nil {
			return err
		}
		if err := i.update(m.FD, make([]byte, 4), data); err != nil {
			return err
		}
		return i.freeze(m.FD)
	}
	for _, kv := range m.Spec.Contents {
		key, err := bytesOf(kv.Key, m.Spec.KeySize)
		if err != nil {
			return fmt.Errorf("key %v: %w", kv.Key, err)
		}
		if ref, ok := kv.Value.(string); ok {
			i.pending = append(i.pending, slot{m, key, ref})
			continue
		}
		value, err := bytesOf(kv.Value, m.Spec.ValueSize)
		if err != nil {
			return fmt.Errorf("value of key %v: %w", kv.Key, err)
		}
		if err := i.update(m.FD, key, value); err != nil {
			return err
		}
	}
	if m.Spec.Flags&uapi.BPF_F_RDONLY_PROG != 0 && len(m.Spec.Contents) > 0 {
		return i.freeze(m.FD)
	}
	return nil
}

func bytesOf(v any, size uint32) ([]byte, error) {
	var b []byte
	switch v := v.(type) {
	case []byte:
		b = v
	case uint32:
		b = binary.LittleEndian.AppendUint32(nil, v)
	default:
		return nil, fmt.Errorf("cannot encode a %T", v)
	}
	if uint32(len(b)) != size {
		return nil, fmt.Errorf("%d bytes where the map has %d", len(b), size)
	}
	return b, nil
}

func (i *Instance) update(fd int, key, value []byte) error {
	var mem usermem.Segments
	a := uapi.MapElemAttr{MapFD: uint32(fd), Key: mem.Add(key), Value: mem.Add(value)}
	attr := make([]byte, uapi.MapElemAttrEnd)
	a.Encode(attr)
	_, err := i.caller.BPF(&mem, uapi.BPF_MAP_UPDATE_ELEM, attr)
	return err
}

func (i *Instance) freeze(fd int) error {
	_, err := i.caller.BPF(nil, uapi.BPF_MAP_FREEZE, binary.LittleEndian.AppendUint32(nil, uint32(fd)))
	return err
}

// fillMapSlots puts maps into maps of maps.
func (i *Instance) fillMapSlots() error {
	var rest []slot
	for _, s := range i.pending {
		inner := i.Maps[s.ref]
		if inner == nil {
			rest = append(rest, s)
			continue
		}
		if err := i.update(s.m.FD, s.key, binary.LittleEndian.AppendUint32(nil, uint32(inner.FD))); err != nil {
			return fmt.Errorf("map %s: putting %s in: %w", s.m.Name, s.ref, err)
		}
	}
	i.pending = rest
	return nil
}
