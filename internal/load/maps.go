package load

import (
	"slices"

	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
)

// held are the maps and BTF that a program under verification names: each is
// held once, however often it is named.
type held struct {
	task *object.Task
	maps map[*desc.Map]*object.Map
	btfs []*object.BTF
}

// maxBTFs is MAX_USED_BTFS.
const maxBTFs = 64

func newHeld(t *object.Task) *held {
	return &held{task: t, maps: map[*desc.Map]*object.Map{}}
}

func (h *held) mapOf(fd int32) (*desc.Map, error) {
	o, _, err := h.task.Object(int(fd), object.KindMap)
	if err != nil {
		return nil, err
	}
	m := o.(*object.Map)
	d := m.Desc()
	if h.maps[d] != nil {
		m.Head().Put()
		return d, nil
	}
	h.maps[d] = m
	return d, nil
}

func (h *held) btf(fd int32) error {
	o, _, err := h.task.Object(int(fd), object.KindBTF)
	if err != nil {
		return err
	}
	b := o.(*object.BTF)
	switch {
	case slices.Contains(h.btfs, b):
		b.Put()
	case len(h.btfs) == maxBTFs:
		b.Put()
		return errno.Errorf(errno.E2BIG, "a program can have %d BTF objects", maxBTFs)
	default:
		h.btfs = append(h.btfs, b)
	}
	return nil
}

// take hands the maps that the verified program uses over, in its order, and
// lets the others go.
func (h *held) take(used []*desc.Map) (maps []*object.Map, btfs []*object.BTF) {
	for _, d := range used {
		if m := h.maps[d]; m != nil {
			maps = append(maps, m)
			delete(h.maps, d)
		}
	}
	btfs, h.btfs = h.btfs, nil
	h.putAll()
	return maps, btfs
}

func (h *held) putAll() {
	for d, m := range h.maps {
		m.Head().Put()
		delete(h.maps, d)
	}
	for _, b := range h.btfs {
		b.Put()
	}
	h.btfs = nil
}
