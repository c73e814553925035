package object

import (
	"sync"
	"sync/atomic"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/maps"
)

// Map is a map with its life.
type Map struct {
	Header
	maps.Map
	Name string
	// BTF describes keys and values; nil without.
	BTF *BTF

	mu      sync.Mutex
	writers int // update commands under way (map_write_active)
	frozen  atomic.Bool
}

// NewMap registers a map that was just made. The caller holds the first
// reference; btf, if any, is held by the map from now on. Both are released when
// there is no id left (ENOSPC).
func NewMap(r *Registry, m maps.Map, name string, btf *BTF) (*Map, error) {
	o := &Map{Map: m, Name: name, BTF: btf}
	if err := r.Add(o, KindMap, o.destroy); err != nil {
		o.destroy()
		return nil, err
	}
	d := m.Desc()
	d.ID, d.Name, d.Frozen = o.ID, name, o.frozen.Load
	o.OnUserRelease(m.ReleaseUser)
	return o, nil
}

func (m *Map) destroy() {
	m.Map.Free()
	if m.BTF != nil {
		m.BTF.Put()
	}
}

// Frozen says whether user space may no longer write.
func (m *Map) Frozen() bool { return m.frozen.Load() }

// BeginWrite notes an update from user space, which a freeze must not overtake.
func (m *Map) BeginWrite() {
	m.mu.Lock()
	m.writers++
	m.mu.Unlock()
}

// EndWrite ends what BeginWrite began.
func (m *Map) EndWrite() {
	m.mu.Lock()
	m.writers--
	m.mu.Unlock()
}

// Freeze makes the map read-only for user space: EBUSY while an update is under
// way or when it is frozen already (map_freeze).
func (m *Map) Freeze() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.writers > 0:
		return errno.Errorf(errno.EBUSY, "map %d is being written", m.ID)
	case m.frozen.Load():
		return errno.Errorf(errno.EBUSY, "map %d is frozen already", m.ID)
	}
	m.frozen.Store(true)
	return nil
}

// Slot is the map as an element of a map of maps. The reference that it stands
// for is given back by Put.
func (m *Map) Slot() maps.MapObject { return mapSlot{m} }

type mapSlot struct{ m *Map }

func (s mapSlot) ID() uint32    { return s.m.Head().ID }
func (s mapSlot) Put()          { s.m.Header.Put() }
func (s mapSlot) Map() maps.Map { return s.m.Map }
