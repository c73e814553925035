package bpffs

import (
	"slices"
	"strings"

	"github.com/skep-ebpf/skep/internal/errno"
)

// nameMax is the longest name (NAME_MAX).
const nameMax = 255

// above are the directories on the way to the mount point. Of what else a host
// has outside of the file system nothing is known here.
var above = strings.Split(Mount[1:], "/")

// place is where a walk has come to: inside of the file system, in one of the
// directories above it, or elsewhere.
type place struct {
	inside    []*node  // from the root of the file system on
	names     []string // of inside but its root
	depth     int      // how many of the names in above, where inside is empty
	elsewhere bool
}

// here is the node that the walk is at, nil outside.
func (p *place) here() *node {
	if n := len(p.inside); n > 0 {
		return p.inside[n-1]
	}
	return nil
}

// names cuts a path at its slashes. A path that ends with one can only be a
// directory's.
func names(path string) (parts []string, directory bool, err error) {
	if path == "" {
		return nil, false, errno.Errorf(errno.ENOENT, "the path is empty")
	}
	parts = slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" })
	return parts, strings.HasSuffix(path, "/"), nil
}

// walk follows the names from the root of all paths.
func (f *FS) walk(path string, parts []string) (*place, error) {
	p := &place{}
	for _, name := range parts {
		if err := f.step(p, path, name); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// step goes on by one name.
func (f *FS) step(p *place, path, name string) error {
	n := p.here()
	switch {
	case n != nil && n.pin != nil:
		return errno.Errorf(errno.ENOTDIR, "%s: what is before %q is not a directory", path, name)
	case p.elsewhere || name == ".":
		return nil
	case n == nil:
		f.stepAbove(p, name)
		return nil
	case name == "..":
		p.up()
		return nil
	}
	c, err := n.child(path, name)
	if err != nil {
		return err
	}
	if c == nil {
		return errno.Errorf(errno.ENOENT, "%s: there is no %q", path, name)
	}
	p.inside, p.names = append(p.inside, c), append(p.names, name)
	return nil
}

func (p *place) up() {
	if len(p.inside) == 1 {
		p.inside, p.depth = nil, len(above)-1
		return
	}
	p.inside, p.names = p.inside[:len(p.inside)-1], p.names[:len(p.names)-1]
}

// path is the place's own path, without dots.
func (p *place) path() string {
	if len(p.inside) == 0 {
		return "/" + strings.Join(above[:p.depth], "/")
	}
	return strings.Join(append([]string{Mount}, p.names...), "/")
}

func (f *FS) stepAbove(p *place, name string) {
	switch {
	case name == "..":
		p.depth = max(p.depth-1, 0)
	case name != above[p.depth]:
		p.elsewhere = true
	case p.depth+1 == len(above):
		p.inside = []*node{&f.root}
	default:
		p.depth++
	}
}

// child looks a name up in a directory, nil if it is not there. Names with dots
// are reserved (bpf_lookup).
func (n *node) child(path, name string) (*node, error) {
	switch c := n.children[name]; {
	case c != nil:
		return c, nil
	case strings.Contains(name, "."):
		return nil, errno.Errorf(errno.EPERM, "%s: names in the bpf file system have no dots", path)
	case len(name) > nameMax:
		return nil, errno.Errorf(errno.ENAMETOOLONG, "%s: a name has at most %d bytes", path, nameMax)
	}
	return nil, nil
}

// find walks to what is there.
func (f *FS) find(path string) (*place, error) {
	parts, directory, err := names(path)
	if err != nil {
		return nil, err
	}
	p, err := f.walk(path, parts)
	if err != nil {
		return nil, err
	}
	switch n := p.here(); {
	case p.elsewhere:
		return nil, errno.Errorf(errno.ENOENT, "%s is not in the bpf file system (%s)", path, Mount)
	case directory && n != nil && n.pin != nil:
		return nil, errno.Errorf(errno.ENOTDIR, "%s is not a directory", path)
	}
	return p, nil
}

// vacant finds the directory and the name for something new (filename_create
// and, for what is not in the file system, bpf_obj_do_pin).
func (f *FS) vacant(path string, directory bool) (dir *node, name string, err error) {
	parts, slash, err := names(path)
	if err != nil {
		return nil, "", err
	}
	exists := errno.Errorf(errno.EEXIST, "%s exists already", path)
	if len(parts) == 0 {
		return nil, "", exists
	}
	name = parts[len(parts)-1]
	p, err := f.walk(path, parts[:len(parts)-1])
	if err != nil {
		return nil, "", err
	}
	dir = p.here()
	switch {
	case dir != nil && dir.pin != nil:
		return nil, "", errno.Errorf(errno.ENOTDIR, "%s: what is before %q is not a directory", path, name)
	case name == "." || name == ".." || dir == nil && !p.elsewhere && name == above[p.depth]:
		return nil, "", exists
	case dir == nil:
		return nil, "", errno.Errorf(errno.EPERM, "%s is not in the bpf file system (%s)", path, Mount)
	}
	switch c, err := dir.child(path, name); {
	case err != nil:
		return nil, "", err
	case c != nil:
		return nil, "", exists
	case slash && !directory:
		return nil, "", errno.Errorf(errno.ENOENT, "%s: only a directory's path ends with a slash", path)
	}
	return dir, name, nil
}
