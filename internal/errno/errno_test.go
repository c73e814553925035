package errno

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

func TestNamesAndTexts(t *testing.T) {
	tests := []struct {
		e    Errno
		num  int
		name string
		text string
	}{
		{EPERM, 1, "EPERM", "operation not permitted"},
		{EINVAL, 22, "EINVAL", "invalid argument"},
		{EAGAIN, 11, "EAGAIN", "resource temporarily unavailable"},
		{E2BIG, 7, "E2BIG", "argument list too long"},
		{EDEADLK, 35, "EDEADLK", "resource deadlock avoided"},
		{EUCLEAN, 117, "EUCLEAN", "structure needs cleaning"},
		{EHWPOISON, 133, "EHWPOISON", "memory page has hardware error"},
		{ENOTSUPP, 524, "ENOTSUPP", "operation is not supported"},
		{41, 41, "errno 41", "errno 41"},
		{4000, 4000, "errno 4000", "errno 4000"},
	}
	for _, tt := range tests {
		if int(tt.e) != tt.num || tt.e.Name() != tt.name || tt.e.Error() != tt.text {
			t.Errorf("errno %d: got %d %q %q, want %q %q", tt.num, int(tt.e), tt.e.Name(), tt.e.Error(), tt.name, tt.text)
		}
	}
}

func TestTableIsComplete(t *testing.T) {
	for n := 1; n <= 133; n++ {
		if n == 41 || n == 58 { // never assigned by Linux
			continue
		}
		e := Errno(n)
		if !strings.HasPrefix(e.Name(), "E") {
			t.Errorf("errno %d has no name", n)
		}
		if back, ok := ByName(e.Name()); !ok || back != e {
			t.Errorf("ByName(%q) = %d, %v, want %d", e.Name(), back, ok, n)
		}
	}
	for _, bad := range []string{"", "EBOGUS", "errno 41"} {
		if e, ok := ByName(bad); ok {
			t.Errorf("ByName(%q) = %v", bad, e)
		}
	}
}

func TestIsHostErrno(t *testing.T) {
	tests := []struct {
		e    Errno
		host syscall.Errno
	}{
		{EPERM, syscall.EPERM}, {ENOENT, syscall.ENOENT}, {EINVAL, syscall.EINVAL},
		{EBUSY, syscall.EBUSY}, {E2BIG, syscall.E2BIG}, {ENOSPC, syscall.ENOSPC},
		{EFAULT, syscall.EFAULT}, {EACCES, syscall.EACCES}, {EEXIST, syscall.EEXIST},
	}
	for _, tt := range tests {
		wrapped := fmt.Errorf("load: %w", Errorf(tt.e, "program %q", "x"))
		if !errors.Is(wrapped, tt.host) || !errors.Is(wrapped, tt.e) {
			t.Errorf("%v is not the host's %v", tt.e.Name(), tt.host)
		}
		if errors.Is(wrapped, syscall.EDOM) || errors.Is(wrapped, EDOM) {
			t.Errorf("%v is EDOM", tt.e.Name())
		}
		if got, ok := Of(fmt.Errorf("host: %w", tt.host)); !ok || got != tt.e {
			t.Errorf("Of(host %v) = %v, %v", tt.host, got.Name(), ok)
		}
	}
}

func TestIsPortableError(t *testing.T) {
	tests := []struct {
		target error
		is     []Errno
	}{
		{fs.ErrNotExist, []Errno{ENOENT}},
		{fs.ErrExist, []Errno{EEXIST, ENOTEMPTY}},
		{fs.ErrPermission, []Errno{EPERM, EACCES}},
		{errors.ErrUnsupported, []Errno{ENOSYS, EOPNOTSUPP, ENOTSUPP}},
	}
	for _, tt := range tests {
		for _, e := range tt.is {
			if !errors.Is(e, tt.target) {
				t.Errorf("%v is not %v", e.Name(), tt.target)
			}
		}
		if errors.Is(EINVAL, tt.target) {
			t.Errorf("EINVAL is %v", tt.target)
		}
	}
}

func TestOfAndWrap(t *testing.T) {
	if e, ok := Of(nil); ok {
		t.Errorf("Of(nil) = %v", e)
	}
	if e, ok := Of(io.EOF); ok {
		t.Errorf("Of(EOF) = %v", e)
	}
	err := Errorf(EINVAL, "map %q: value size %d: %w", "counts", 0, io.ErrUnexpectedEOF)
	if want := `map "counts": value size 0: unexpected EOF: invalid argument`; err.Error() != want {
		t.Errorf("text %q, want %q", err, want)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	if e, ok := Of(fmt.Errorf("outer: %w", err)); !ok || e != EINVAL {
		t.Errorf("Of = %v, %v", e, ok)
	}
	// The outermost number is the one the caller sees.
	if e, _ := Of(Wrap(EPERM, err)); e != EPERM {
		t.Errorf("Of(Wrap(EPERM, EINVAL)) = %v", e.Name())
	}
	if Wrap(EPERM, nil) != nil || Errno(0).Err() != nil || EPERM.Err() != error(EPERM) {
		t.Error("nil errors are not nil")
	}
}

func TestRet(t *testing.T) {
	for _, e := range []Errno{EPERM, ENOTSUPP} {
		if got, ok := FromRet(e.Ret()); !ok || got != e {
			t.Errorf("FromRet(%d) = %v, %v", e.Ret(), got, ok)
		}
	}
	for _, ret := range []int64{0, 1, -4096, -1 << 63} {
		if e, ok := FromRet(ret); ok {
			t.Errorf("FromRet(%d) = %v", ret, e)
		}
	}
}
