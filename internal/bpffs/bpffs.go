// Package bpffs is the file system in which objects are pinned: a tree in
// memory, one for each kernel, mounted at /sys/fs/bpf. A pin is a user
// reference to its object, as an fd is.
package bpffs

import (
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
)

// Mount is where the file system is mounted.
const Mount = "/sys/fs/bpf"

// FS is one such file system. The zero value is empty and ready to use; it is
// safe for concurrent use.
type FS struct {
	mu   sync.RWMutex
	root node
}

// node is a directory (children may be nil) or a pin.
type node struct {
	pin      object.Object
	children map[string]*node
}

// Entry is what List returns.
type Entry struct {
	Path   string
	Object object.Object // nil for a directory
}

// split checks the path and cuts it into names. Paths are absolute; those
// outside the mount point are no place to pin.
func split(p string) ([]string, error) {
	if p == "" {
		return nil, errno.Errorf(errno.ENOENT, "the path is empty")
	}
	clean := path.Clean(p)
	rest, ok := strings.CutPrefix(clean, Mount)
	if !ok || rest != "" && rest[0] != '/' {
		return nil, errno.Errorf(errno.EPERM, "%s is not in the bpf file system (%s)", p, Mount)
	}
	if rest == "" || rest == "/" {
		return nil, nil
	}
	return strings.Split(rest[1:], "/"), nil
}

func (f *FS) walk(names []string) (*node, error) {
	n := &f.root
	for i, name := range names {
		if n.pin != nil {
			return nil, errno.Errorf(errno.ENOTDIR, "%s is not a directory", join(names[:i]))
		}
		if n = n.children[name]; n == nil {
			return nil, errno.Errorf(errno.ENOENT, "%s does not exist", join(names[:i+1]))
		}
	}
	return n, nil
}

func join(names []string) string { return Mount + "/" + strings.Join(names, "/") }

// add puts a new node at p.
func (f *FS) add(p string, n *node) error {
	names, err := split(p)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errno.Errorf(errno.EEXIST, "%s exists already", p)
	}
	last := names[len(names)-1]
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, err := f.walk(names[:len(names)-1])
	if err != nil {
		return err
	}
	if dir.pin != nil {
		return errno.Errorf(errno.ENOTDIR, "%s is not a directory", join(names[:len(names)-1]))
	}
	if dir.children[last] != nil {
		return errno.Errorf(errno.EEXIST, "%s exists already", p)
	}
	// bpf_lookup: names with a dot are reserved.
	if strings.Contains(last, ".") {
		return errno.Errorf(errno.EPERM, "%q: names in the bpf file system have no dots", last)
	}
	if dir.children == nil {
		dir.children = map[string]*node{}
	}
	dir.children[last] = n
	return nil
}

// Pin makes p refer to o and takes a user reference to it. Errors: ENOENT and
// ENOTDIR for a missing directory, EEXIST, EPERM outside the file system or for
// a name with a dot.
func (f *FS) Pin(p string, o object.Object) error {
	o.Head().GetUser()
	if err := f.add(p, &node{pin: o}); err != nil {
		o.Head().PutUser()
		return err
	}
	return nil
}

// Mkdir makes a directory.
func (f *FS) Mkdir(p string) error { return f.add(p, &node{}) }

// MkdirAll makes a directory and those above it.
func (f *FS) MkdirAll(p string) error {
	names, err := split(p)
	if err != nil {
		return err
	}
	for i := range names {
		err := f.add(join(names[:i+1]), &node{})
		if e, _ := errno.Of(err); err != nil && e != errno.EEXIST {
			return err
		}
	}
	return nil
}

// Get finds what is pinned at p and takes a reference for the caller. A
// directory gives EACCES.
func (f *FS) Get(p string) (object.Object, error) {
	names, err := split(p)
	if err != nil {
		return nil, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	n, err := f.walk(names)
	if err != nil {
		return nil, err
	}
	if n.pin == nil {
		return nil, errno.Errorf(errno.EACCES, "%s is a directory", p)
	}
	n.pin.Head().Get()
	return n.pin, nil
}

// IsDir says whether p is a directory.
func (f *FS) IsDir(p string) bool {
	names, err := split(p)
	if err != nil {
		return false
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	n, err := f.walk(names)
	return err == nil && n.pin == nil
}

// Remove takes away a pin, and with it the reference, or an empty directory.
func (f *FS) Remove(p string) error {
	names, err := split(p)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errno.Errorf(errno.EBUSY, "%s is the mount point", p)
	}
	n, err := f.detach(names)
	if err == nil && n.pin != nil {
		n.pin.Head().PutUser()
	}
	return err
}

func (f *FS) detach(names []string) (*node, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, err := f.walk(names[:len(names)-1])
	if err != nil {
		return nil, err
	}
	last := names[len(names)-1]
	n := dir.children[last]
	switch {
	case n == nil:
		return nil, errno.Errorf(errno.ENOENT, "%s does not exist", join(names))
	case len(n.children) > 0:
		return nil, errno.Errorf(errno.ENOTEMPTY, "%s is not empty", join(names))
	}
	delete(dir.children, last)
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
