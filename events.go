package skep

import (
	"encoding/binary"
	"fmt"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/maps"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/uapi"
)

// Event is one record that a program sent to user space. Data is valid until
// the callback returns.
type Event struct {
	CPU  int // of a perf event; 0 for a ring buffer, which CPUs share
	Data []byte
	// Lost is how many records before this one found no room (perf events; a
	// ring buffer tells its program instead).
	Lost uint64
}

// Events reads what programs send through a ring buffer or a perf event array.
type Events struct {
	ring *maps.Ringbuf
	perf []*maps.PerfBuffer
	task *Task
	fds  []int
}

// defaultPerfBuffer is the size of the ring of one CPU's perf events in bytes.
const defaultPerfBuffer = 64 << 10

// Events opens the map for reading. In a perf event array it puts an event for
// each CPU, as perf_event_open and BPF_MAP_UPDATE_ELEM do; those stay until
// Close. Other types of map give EINVAL.
func (m *Map) Events() (*Events, error) {
	o, _, err := m.task.task.Object(m.fd, object.KindMap)
	if err != nil {
		return nil, err
	}
	defer o.Head().Put()
	switch impl := o.(*object.Map).Map.(type) {
	case *maps.Ringbuf:
		return &Events{ring: impl}, nil
	case *maps.PerfEventArray:
		return m.perfEvents()
	}
	return nil, fmt.Errorf("map %s: a %s map has no events to read: %w", m.Name, m.Type, errno.EINVAL)
}

func (m *Map) perfEvents() (*Events, error) {
	e := &Events{task: m.task}
	for cpu := range min(m.MaxEntries, len(m.task.kernel.abi.Machine.CPUs)) {
		buf, err := maps.NewPerfBuffer(cpu, defaultPerfBuffer)
		if err != nil {
			e.Close()
			return nil, err
		}
		fd, err := m.task.task.Install(m.task.kernel.abi.Registry.OpenSpecial("perf_event", buf, nil))
		if err != nil {
			e.Close()
			return nil, err
		}
		e.perf, e.fds = append(e.perf, buf), append(e.fds, fd)
		value := binary.LittleEndian.AppendUint32(nil, uint32(fd))
		if err := m.elem(uapi.BPF_MAP_UPDATE_ELEM, Uint32Key(uint32(cpu)), value, uapi.BPF_ANY); err != nil {
			e.Close()
			return nil, fmt.Errorf("map %s: opening events of CPU %d: %w", m.Name, cpu, err)
		}
	}
	return e, nil
}

// Read hands over the records that are there and returns their number. It does
// not wait.
func (e *Events) Read(visit func(Event)) (n int) {
	if e.ring != nil {
		return e.ring.Read(func(b []byte) { visit(Event{Data: b}) })
	}
	for cpu, p := range e.perf {
		n += p.Read(func(b []byte, lost uint64) { visit(Event{CPU: cpu, Data: b, Lost: lost}) })
	}
	return n
}

// Lost is how many records found no room since the last one that did.
func (e *Events) Lost() (n uint64) {
	for _, p := range e.perf {
		n += p.Lost()
	}
	return n
}

// Close stops reading. The map lives on.
func (e *Events) Close() {
	for _, fd := range e.fds {
		e.task.CloseFD(fd)
	}
	e.fds = nil
}
