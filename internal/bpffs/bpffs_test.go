package bpffs

import (
	"errors"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
)

type thing struct{ object.Header }

var root = &object.Credentials{Caps: object.AllCaps}

// Another user may add to the root directory, and use only what is his.
func TestOwners(t *testing.T) {
	var r object.Registry
	var fs FS
	defer fs.Clear()
	o := &thing{}
	if err := r.Add(o, object.KindMap, nil); err != nil {
		t.Fatal(err)
	}
	defer o.Put()
	user := &object.Credentials{UID: 1000, Caps: object.Caps(object.CapBPF, object.CapSysAdmin)}
	owned := &object.Credentials{} // uid 0 without capabilities
	get := func(path string, who *object.Credentials) error {
		o, err := fs.Get(path, who)
		if err == nil {
			o.Head().Put()
		}
		return err
	}
	for _, tc := range []struct {
		what string
		err  error
		want errno.Errno
	}{
		{"root's pin", fs.Pin("/sys/fs/bpf/a", o, root), 0},
		{"root's directory", fs.Mkdir("/sys/fs/bpf/d", root), 0},
		{"a user's pin", fs.Pin("/sys/fs/bpf/u", o, user), 0},
		{"a user's directory", fs.Mkdir("/sys/fs/bpf/v", user), 0},
		{"a user in his directory", fs.Pin("/sys/fs/bpf/v/a", o, user), 0},
		{"a user in root's directory", fs.Pin("/sys/fs/bpf/d/a", o, user), errno.EACCES},
		{"a user gets root's", get("/sys/fs/bpf/a", user), errno.EACCES},
		{"a user gets his", get("/sys/fs/bpf/u", user), 0},
		{"root gets a user's", get("/sys/fs/bpf/u", root), 0},
		{"an owner without capabilities", get("/sys/fs/bpf/a", owned), 0},
		{"no owner without capabilities", get("/sys/fs/bpf/u", owned), errno.EACCES},
		{"a user removes root's", fs.Remove("/sys/fs/bpf/a", user), errno.EPERM},
		{"a user removes his", fs.Remove("/sys/fs/bpf/u", user), 0},
	} {
		if e, _ := errno.Of(tc.err); e != tc.want {
			t.Errorf("%s: %v, want %v", tc.what, tc.err, tc.want)
		}
	}
}

func TestPins(t *testing.T) {
	var r object.Registry
	var fs FS
	o := &thing{}
	freed := false
	if err := r.Add(o, object.KindMap, func() { freed = true }); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		what string
		err  error
		want errno.Errno
	}{
		{"pin", fs.Pin("/sys/fs/bpf/a", o, root), 0},
		{"pin again", fs.Pin("/sys/fs/bpf/a", o, root), errno.EEXIST},
		{"no directory", fs.Pin("/sys/fs/bpf/d/a", o, root), errno.ENOENT},
		{"below a pin", fs.Pin("/sys/fs/bpf/a/b", o, root), errno.ENOTDIR},
		{"dots", fs.Pin("/sys/fs/bpf/a.b", o, root), errno.EPERM},
		{"elsewhere", fs.Pin("/tmp/a", o, root), errno.EPERM},
		{"climbing out", fs.Pin("/sys/fs/bpf/../x", o, root), errno.EPERM},
		{"a neighbour's name", fs.Pin("/sys/fs/bpfx/a", o, root), errno.EPERM},
		{"the root", fs.Pin("/sys/fs/bpf", o, root), errno.EEXIST},
		{"mkdir", fs.Mkdir("/sys/fs/bpf/d", root), 0},
		{"mkdir again", fs.Mkdir("/sys/fs/bpf/d", root), errno.EEXIST},
		{"mkdir in nothing", fs.Mkdir("/sys/fs/bpf/d/e/f", root), errno.ENOENT},
		{"mkdir with a slash", fs.Mkdir("/sys/fs/bpf/d/e/", root), 0},
		{"mkdir in a directory", fs.Mkdir("/sys/fs/bpf/d/e/f", root), 0},
		{"over dots", fs.Mkdir("/sys/fs/bpf/d/../d/./e/../g", root), 0},
		{"out and in again", fs.Mkdir("/sys/../sys/fs/bpf/../bpf/h", root), 0},
		{"remove over dots", fs.Remove("/sys/fs/bpf/./d/../h", root), 0},
		{"in a directory", fs.Pin("/sys/fs/bpf/d/a", o, root), 0},
		{"remove a full directory", fs.Remove("/sys/fs/bpf/d", root), errno.ENOTEMPTY},
		{"remove nothing", fs.Remove("/sys/fs/bpf/x", root), errno.ENOENT},
		{"remove the root", fs.Remove("/sys/fs/bpf", root), errno.EBUSY},
		{"remove an empty directory", fs.Remove("/sys/fs/bpf/d/e/f", root), 0},
	} {
		e, _ := errno.Of(tc.err)
		if e != tc.want {
			t.Errorf("%s: %v, want %v", tc.what, tc.err, tc.want)
		}
	}
	o.Put()
	got, err := fs.Get("/sys/fs/bpf/d/a", root)
	if err != nil || got != o {
		t.Fatalf("get: %v, %v", got, err)
	}
	got.Head().Put()
	if _, err := fs.Get("/sys/fs/bpf/d", root); !errors.Is(err, errno.EACCES) {
		t.Errorf("getting a directory: %v, want EACCES", err)
	}
	for _, tc := range []struct {
		path, want string
		errno      errno.Errno
	}{
		{"/sys/fs/", "/sys/fs", 0},
		{"/", "/", 0},
		{"/sys/fs/bpf/", Mount, 0},
		{"/sys/fs/bpf/d/../..", "/sys/fs", 0},
		{"//sys/fs/bpf/d/../d/./e/", "/sys/fs/bpf/d/e", 0},
		{"/sys/fs/bpf/a", "", errno.ENOTDIR},
		{"/sys/fs/bpf/none", "", errno.ENOENT},
		{"/tmp", "", errno.ENOENT},
	} {
		got, err := fs.Dir(tc.path)
		if e, _ := errno.Of(err); got != tc.want || e != tc.errno {
			t.Errorf("directory %s: %q, %v; want %q, %v", tc.path, got, err, tc.want, tc.errno)
		}
	}
	var paths []string
	for _, e := range fs.List() {
		paths = append(paths, e.Path)
	}
	if len(paths) != 5 || paths[0] != "/sys/fs/bpf/a" || paths[3] != "/sys/fs/bpf/d/e" {
		t.Errorf("list: %q", paths)
	}
	if err := fs.Remove("/sys/fs/bpf/a", root); err != nil || freed {
		t.Fatalf("%v, freed %v with a pin left", err, freed)
	}
	fs.Clear()
	if !freed {
		t.Error("the last pin is gone, but the object is not")
	}
}
