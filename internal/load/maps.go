package load

import (
	"github.com/skep-ebpf/skep/internal/desc"
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
)

// heldMaps are the maps that a program under verification names: each is held
// once, however often it is named.
type heldMaps struct {
	task *object.Task
	held map[*desc.Map]*object.Map
}

func newHeldMaps(t *object.Task) *heldMaps {
	return &heldMaps{t, map[*desc.Map]*object.Map{}}
}

func (h *heldMaps) resolve(fd int32) (*desc.Map, error) {
	o, _, err := h.task.Object(int(fd), object.KindMap)
	if err != nil {
		return nil, err
	}
	m := o.(*object.Map)
	d := m.Desc()
	if h.held[d] != nil {
		m.Head().Put()
		return d, nil
	}
	h.held[d] = m
	return d, nil
}

// bindArray resolves an fd_array whose length was given: its maps belong to the
// program whether it names them or not (process_fd_array).
func (h *heldMaps) bindArray(r *Request) ([]*desc.Map, error) {
	if r.Attr.FDArrayCnt != 0 && r.FDArray == nil {
		return nil, errno.Errorf(errno.EFAULT, "fd_array_cnt is %d, but fd_array is null", r.Attr.FDArrayCnt)
	}
	var out []*desc.Map
	for i := range r.Attr.FDArrayCnt {
		fd, err := r.FDArray(int(i))
		if err != nil {
			return nil, err
		}
		d, err := h.resolve(fd)
		if err == nil {
			out = append(out, d)
			continue
		}
		btf, _, berr := h.task.Object(int(fd), object.KindBTF)
		if berr != nil {
			return nil, err
		}
		btf.Head().Put()
	}
	return out, nil
}

// take hands the maps that the verified program uses over, in its order, and
// lets the others go.
func (h *heldMaps) take(used []*desc.Map) []*object.Map {
	var out []*object.Map
	for _, d := range used {
		if m := h.held[d]; m != nil {
			out = append(out, m)
			delete(h.held, d)
		}
	}
	h.putAll()
	return out
}

func (h *heldMaps) putAll() {
	for d, m := range h.held {
		m.Head().Put()
		delete(h.held, d)
	}
}
