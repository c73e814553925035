// Package bpffs is the file system in which objects are pinned: a tree in
// memory, one for each kernel, mounted at /sys/fs/bpf. A pin is a user
// reference to its object, as an fd is.
package bpffs

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
)

// Mount is where the file system is mounted.
const Mount = "/sys/fs/bpf"

// FS is one such file system. The zero value is empty and ready to use; it is
// safe for concurrent use. Paths are absolute; they may have dots, and lead out
// of the file system and in again.
type FS struct {
	mu   sync.RWMutex
	root node
}

// node is a directory (children may be nil) or a pin.
type node struct {
	owner    uint32
	pin      object.Object
	children map[string]*node
}

// Entry is what List returns.
type Entry struct {
	Path   string
	Object object.Object // nil for a directory
}

// Permissions are those of files made with mode 0600 and directories with mode
// 0755, in a root directory to which everybody may add (1777).

// mayUse says whether a task may read or write what is pinned at n.
func (n *node) mayUse(who *object.Credentials) bool {
	return n.owner == who.UID || who.Caps.Holds(object.CapDACOverride)
}

// mayAdd says whether a task may add to the directory n.
func (f *FS) mayAdd(n *node, who *object.Credentials) bool { return n == &f.root || n.mayUse(who) }

// add puts a new node at a path.
func (f *FS) add(path string, n *node, who *object.Credentials) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, name, err := f.vacant(path, n.pin == nil)
	if err != nil {
		return err
	}
	if !f.mayAdd(dir, who) {
		return errno.Errorf(errno.EACCES, "%s: user %d may not write to the directory of user %d", path, who.UID, dir.owner)
	}
	if dir.children == nil {
		dir.children = map[string]*node{}
	}
	n.owner = who.UID
	dir.children[name] = n
	return nil
}

// Pin makes a path refer to o and takes a user reference to it. Errors: ENOENT
// and ENOTDIR for a missing directory, EEXIST, EPERM outside the file system or
// for a name with a dot, EACCES in another user's directory.
func (f *FS) Pin(path string, o object.Object, who *object.Credentials) error {
	o.Head().GetUser()
	if err := f.add(path, &node{pin: o}, who); err != nil {
		o.Head().PutUser()
		return err
	}
	return nil
}

// Mkdir makes a directory.
func (f *FS) Mkdir(path string, who *object.Credentials) error { return f.add(path, &node{}, who) }

// Get finds what is pinned at a path and takes a reference for the caller.
// EACCES: it is a directory, or another user's.
func (f *FS) Get(path string, who *object.Credentials) (object.Object, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	p, err := f.find(path)
	if err != nil {
		return nil, err
	}
	n := p.here()
	switch {
	case n == nil || n.pin == nil:
		return nil, errno.Errorf(errno.EACCES, "%s is a directory", path)
	case !n.mayUse(who):
		return nil, errno.Errorf(errno.EACCES, "%s belongs to user %d, not to user %d", path, n.owner, who.UID)
	}
	n.pin.Head().Get()
	return n.pin, nil
}

// Dir finds a directory, and returns its path without dots: ENOENT, ENOTDIR.
func (f *FS) Dir(path string) (string, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	p, err := f.find(path)
	if err != nil {
		return "", err
	}
	if n := p.here(); n != nil && n.pin != nil {
		return "", errno.Errorf(errno.ENOTDIR, "%s is not a directory", path)
	}
	return p.path(), nil
}

// Remove takes away a pin, and with it the reference, or an empty directory.
// EPERM: it is another user's.
func (f *FS) Remove(path string, who *object.Credentials) error {
	n, err := f.detach(path, who)
	if err == nil && n.pin != nil {
		n.pin.Head().PutUser()
	}
	return err
}

func (f *FS) detach(path string, who *object.Credentials) (*node, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.find(path)
	if err != nil {
		return nil, err
	}
	n := p.here()
	switch {
	case n == nil || n == &f.root:
		return nil, errno.Errorf(errno.EBUSY, "%s is the mount point or above it", path)
	case len(n.children) > 0:
		return nil, errno.Errorf(errno.ENOTEMPTY, "%s is not empty", path)
	case !n.mayUse(who):
		return nil, errno.Errorf(errno.EPERM, "%s belongs to user %d, not to user %d", path, n.owner, who.UID)
	}
	dir := p.inside[len(p.inside)-2]
	maps.DeleteFunc(dir.children, func(_ string, c *node) bool { return c == n })
	return n, nil
}

// List is everything in the file system in order of path. No references are
// taken.
func (f *FS) List() []Entry {
	f.mu.RLock()
	defer f.mu.RUnlock()
	var out []Entry
	var visit func(p string, n *node)
	visit = func(p string, n *node) {
		for name, c := range n.children {
			out = append(out, Entry{p + "/" + name, c.pin})
			visit(p+"/"+name, c)
		}
	}
	visit(Mount, &f.root)
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// Clear removes everything, as unmounting does.
func (f *FS) Clear() {
	f.mu.Lock()
	root := f.root
	f.root = node{}
	f.mu.Unlock()
	var drop func(n *node)
	drop = func(n *node) {
		for _, c := range n.children {
			drop(c)
		}
		if n.pin != nil {
			n.pin.Head().PutUser()
		}
	}
	drop(&root)
}
