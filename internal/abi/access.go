package abi

import (
	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/mem"
	"github.com/skep-ebpf/skep/internal/object"
)

// access is a command on a map under way. The map is held through the file, as
// fdget does: what the end of the last fd does to a map (map_release_uref) must
// not overtake the command.
type access struct {
	*call
	m    *object.Map
	file *object.File
	temp []uint64 // memory for the time of the command
}

// openMap finds the map of a command that wants some access to it. Its end is
// close.
func (c *call) openMap(fd uint32, want object.Access) (*access, error) {
	f, err := c.task.FileOf(int(int32(fd)), object.KindMap)
	if err != nil {
		return nil, err
	}
	a := &access{call: c, m: f.Object.(*object.Map), file: f}
	if want&object.AccessWrite != 0 {
		// Before the permission is looked at: a freeze from now on fails.
		a.m.BeginWrite()
	}
	if err := a.may(want); err != nil {
		a.close(want)
		return nil, err
	}
	return a, nil
}

func (a *access) close(want object.Access) {
	if want&object.AccessWrite != 0 {
		a.m.EndWrite()
	}
	for _, addr := range a.temp {
		a.Machine.Region.Free(addr)
	}
	a.file.Close()
}

// may is EPERM unless the fd allows the access; frozen maps cannot be written
// (map_get_sys_perms).
func (a *access) may(want object.Access) error {
	frozen := a.m.Frozen()
	has := a.file.Access
	if frozen {
		has &^= object.AccessWrite
	}
	if has&want == want {
		return nil
	}
	why := "the fd does not allow it"
	if frozen && want&object.AccessWrite != 0 {
		why = "the map is frozen"
	}
	return errno.Errorf(errno.EPERM, "%v on map %d (%s): %s", a.cmd, a.m.ID, a.m.Name, why)
}

// fail makes an error of what the map answered.
func (a *access) fail(n errno.Errno) error {
	if n == 0 {
		return nil
	}
	return errno.Errorf(n, "%v on map %d (%s)", a.cmd, a.m.ID, a.m.Name)
}

// maxHeap is the largest room that is taken from the Go heap.
const maxHeap = 64 << 10

// scratch is room for a key or a value until the command ends. What is large
// comes out of the kernel's memory: the limit of that bounds what callers can
// make the host spend.
func (a *access) scratch(size uint32) ([]byte, errno.Errno) {
	if size <= maxHeap {
		return make([]byte, size), 0
	}
	addr, err := a.Machine.Region.Alloc(uint64(size), 0)
	if err != nil {
		return nil, errno.ENOMEM
	}
	a.temp = append(a.temp, addr)
	return mem.Bytes(addr, uint64(size)), 0
}
