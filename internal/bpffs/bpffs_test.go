package bpffs

import (
	"errors"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/object"
)

type thing struct{ object.Header }

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
		{"pin", fs.Pin("/sys/fs/bpf/a", o), 0},
		{"pin again", fs.Pin("/sys/fs/bpf/a", o), errno.EEXIST},
		{"no directory", fs.Pin("/sys/fs/bpf/d/a", o), errno.ENOENT},
		{"below a pin", fs.Pin("/sys/fs/bpf/a/b", o), errno.ENOTDIR},
		{"dots", fs.Pin("/sys/fs/bpf/a.b", o), errno.EPERM},
		{"elsewhere", fs.Pin("/tmp/a", o), errno.EPERM},
		{"climbing out", fs.Pin("/sys/fs/bpf/../x", o), errno.EPERM},
		{"a neighbour's name", fs.Pin("/sys/fs/bpfx/a", o), errno.EPERM},
		{"the root", fs.Pin("/sys/fs/bpf", o), errno.EEXIST},
		{"mkdir", fs.Mkdir("/sys/fs/bpf/d"), 0},
		{"mkdir again", fs.Mkdir("/sys/fs/bpf/d"), errno.EEXIST},
		{"mkdir -p", fs.MkdirAll("/sys/fs/bpf/d/e/f"), 0},
		{"in a directory", fs.Pin("/sys/fs/bpf/d/a", o), 0},
		{"remove a full directory", fs.Remove("/sys/fs/bpf/d"), errno.ENOTEMPTY},
		{"remove nothing", fs.Remove("/sys/fs/bpf/x"), errno.ENOENT},
		{"remove the root", fs.Remove("/sys/fs/bpf"), errno.EBUSY},
		{"remove an empty directory", fs.Remove("/sys/fs/bpf/d/e/f"), 0},
	} {
		e, _ := errno.Of(tc.err)
		if e != tc.want {
			t.Errorf("%s: %v, want %v", tc.what, tc.err, tc.want)
		}
	}
	o.Put()
	got, err := fs.Get("/sys/fs/bpf/d/a")
	if err != nil || got != o {
		t.Fatalf("get: %v, %v", got, err)
	}
	got.Head().Put()
	if _, err := fs.Get("/sys/fs/bpf/d"); !errors.Is(err, errno.EACCES) {
		t.Errorf("getting a directory: %v, want EACCES", err)
	}
	var paths []string
	for _, e := range fs.List() {
		paths = append(paths, e.Path)
	}
	if len(paths) != 4 || paths[0] != "/sys/fs/bpf/a" || paths[3] != "/sys/fs/bpf/d/e" {
		t.Errorf("list: %q", paths)
	}
	if err := fs.Remove("/sys/fs/bpf/a"); err != nil || freed {
		t.Fatalf("%v, freed %v with a pin left", err, freed)
	}
	fs.Clear()
	if !freed {
		t.Error("the last pin is gone, but the object is not")
	}
}
