package object

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/skep-ebpf/skep/internal/errno"
	"github.com/skep-ebpf/skep/internal/usermem"
)

type thing struct{ Header }

func add(t *testing.T, r *Registry, kind Kind, freed *int) *thing {
	t.Helper()
	o := &thing{}
	if err := r.Add(o, kind, func() { *freed++ }); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestReferences(t *testing.T) {
	var r Registry
	freed, user := 0, 0
	o := add(t, &r, KindMap, &freed)
	o.OnUserRelease(func() { user++ })
	task := NewTask(&r, Credentials{}, usermem.Process{})
	fd, err := task.Install(r.Open(o, AccessBoth))
	if err != nil {
		t.Fatal(err)
	}
	dup, err := task.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	o.Put() // the maker's reference
	if err := task.Close(fd); err != nil || user != 0 || freed != 0 {
		t.Fatalf("after the first close: %v, user %d, freed %d", err, user, freed)
	}
	o.Get() // a program holds it
	if err := task.Close(dup); err != nil || user != 1 || freed != 0 {
		t.Fatalf("after the last fd: %v, user %d, freed %d", err, user, freed)
	}
	if _, err := r.ByID(KindMap, o.ID); err != nil {
		t.Errorf("a map that a program holds has no id: %v", err)
	} else {
		o.Put()
	}
	o.Put()
	if freed != 1 {
		t.Errorf("freed %d times", freed)
	}
	if _, err := r.ByID(KindMap, o.ID); !errors.Is(err, errno.ENOENT) {
		t.Errorf("id of a map that is gone: %v, want ENOENT", err)
	}
	if err := task.Close(dup); !errors.Is(err, errno.EBADF) {
		t.Errorf("closing twice: %v, want EBADF", err)
	}
}

func TestIDs(t *testing.T) {
	var r Registry
	freed := 0
	var all []*thing
	for range 5 {
		all = append(all, add(t, &r, KindProg, &freed))
	}
	all[2].Put()
	want := []uint32{1, 2, 4, 5}
	id := uint32(0)
	for _, w := range want {
		next, err := r.NextID(KindProg, id)
		if err != nil || next != w {
			t.Fatalf("after %d comes %d, %v; want %d", id, next, err, w)
		}
		id = next
	}
	if _, err := r.NextID(KindProg, id); !errors.Is(err, errno.ENOENT) {
		t.Errorf("after the last: %v", err)
	}
	// Ids are not used again until the numbers are used up.
	if o := add(t, &r, KindProg, &freed); o.ID != 6 {
		t.Errorf("the next id is %d", o.ID)
	}
	if _, err := r.NextID(KindMap, 0); !errors.Is(err, errno.ENOENT) {
		t.Errorf("ids of maps and programs are not apart: %v", err)
	}
}

func TestIDsWrap(t *testing.T) {
	var r Registry
	freed := 0
	first := add(t, &r, KindMap, &freed)
	r.tables[KindMap].last = 1<<31 - 2
	if o := add(t, &r, KindMap, &freed); o.ID != 2 || first.ID != 1 {
		t.Errorf("after the largest id comes %d", o.ID)
	}
}

func TestLowestFD(t *testing.T) {
	var r Registry
	freed := 0
	o := add(t, &r, KindProg, &freed)
	task := NewTask(&r, Credentials{}, nil)
	var fds []int
	for range 4 {
		fd, _ := task.Install(r.Open(o, AccessBoth))
		fds = append(fds, fd)
	}
	if fds[0] != firstFD || fds[3] != firstFD+3 {
		t.Fatalf("fds %v", fds)
	}
	task.Close(fds[1])
	if fd, _ := task.Install(r.Open(o, AccessBoth)); fd != fds[1] {
		t.Errorf("fd %d, want the lowest free one, %d", fd, fds[1])
	}
	task.Exit()
	o.Put()
	if freed != 1 {
		t.Error("fds of a task that exited hold the object")
	}
}

func TestLeaks(t *testing.T) {
	r := Registry{TrackOrigins: true}
	freed := 0
	o := add(t, &r, KindMap, &freed)
	task := NewTask(&r, Credentials{}, nil)
	fd, _ := task.Install(r.Open(o, AccessBoth))
	o.Put()
	leaks := r.Leaks()
	if len(leaks) != 2 {
		t.Fatalf("%d leaks, want the map and its fd", len(leaks))
	}
	for _, l := range leaks {
		if !strings.Contains(l.Made, "TestLeaks") {
			t.Errorf("the leak of a %s does not say where it was made:\n%s", l.What, l.Made)
		}
	}
	task.Close(fd)
	if leaks := r.Leaks(); len(leaks) != 0 {
		t.Errorf("leaks after the close: %+v", leaks)
	}
}

func TestCheckName(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		ok       bool
	}{
		{"abc\x00\x00", "abc", true}, {"a.b_9\x00", "a.b_9", true}, {"\x00", "", true},
		{"abc", "", false}, {"a b\x00", "", false}, {"a-b\x00", "", false},
	} {
		got, err := CheckName([]byte(tc.in))
		if got != tc.want || (err == nil) != tc.ok {
			t.Errorf("%q: %q, %v", tc.in, got, err)
		}
	}
}

// Looking up, opening and closing the same object from many goroutines frees it
// once, at the end.
func TestConcurrentLife(t *testing.T) {
	var r Registry
	freed := 0
	o := add(t, &r, KindMap, &freed)
	id := o.ID
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			task := NewTask(&r, Credentials{}, nil)
			for range 500 {
				got, err := r.ByID(KindMap, id)
				if err != nil {
					continue
				}
				fd, err := task.Install(r.Open(got, AccessRead))
				got.Head().Put()
				if err != nil {
					t.Error(err)
					return
				}
				task.Close(fd)
			}
		})
	}
	wg.Wait()
	if freed != 0 {
		t.Fatal("freed while it was held")
	}
	o.Put()
	if freed != 1 {
		t.Fatalf("freed %d times", freed)
	}
}
