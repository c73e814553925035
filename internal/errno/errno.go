// Package errno has the error numbers of Linux, with Linux's values, on every
// operating system.
//
// Every error of the bpf(2) ABI is one of these. The Go API wraps it with a
// sentence ([Errorf]); callers test for it with errors.Is, against this
// package's value or against the host's syscall (or golang.org/x/sys/unix)
// value of the same name.
package errno

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"syscall"
)

// Errno is a Linux error number. The zero value is "no error": a function that
// returns the error interface must return nil instead, see [Errno.Err].
type Errno uint16

// maxErrno is the kernel's MAX_ERRNO: a return value in [-maxErrno, -1] is an
// error number.
const maxErrno = 4095

// Error returns the text that Linux's strerror gives, in the lower case of Go's
// syscall package.
func (e Errno) Error() string {
	if t := e.info().text; t != "" {
		return t
	}
	return "errno " + strconv.Itoa(int(e))
}

// Name returns the symbolic name, such as "EINVAL", or "errno N" for a number
// that has none.
func (e Errno) Name() string {
	if n := e.info().name; n != "" {
		return n
	}
	return "errno " + strconv.Itoa(int(e))
}

func (e Errno) info() info {
	if int(e) < len(table) {
		return table[e]
	}
	return info{}
}

// Err returns e as an error, nil if e is zero.
func (e Errno) Err() error {
	if e == 0 {
		return nil
	}
	return e
}

// Ret returns the number as the kernel returns it from a helper or a system
// call: negative, and sign-extended to 64 bits.
func (e Errno) Ret() int64 { return -int64(e) }

// FromRet returns the error number in a return value in the kernel's
// convention. ok is false if ret is no error.
func FromRet(ret int64) (e Errno, ok bool) {
	if ret >= 0 || ret < -maxErrno {
		return 0, false
	}
	return Errno(-ret), true
}

// ByName returns the number of a symbolic name such as "EINVAL".
func ByName(name string) (e Errno, ok bool) {
	switch name {
	case "":
		return 0, false
	case "EWOULDBLOCK":
		return EWOULDBLOCK, true
	case "EDEADLOCK":
		return EDEADLOCK, true
	case "ENOTSUP":
		return ENOTSUP, true
	}
	for e := range table {
		if table[e].name == name {
			return Errno(e), true
		}
	}
	return 0, false
}

// Is reports whether target is the host's errno of the same name, or one of the
// portable errors of io/fs and errors that syscall.Errno matches too.
func (e Errno) Is(target error) bool {
	if h, ok := target.(syscall.Errno); ok {
		if own, ok := toHost(e); ok && own == h {
			return true
		}
		back, ok := fromHost(h) // two names may share the host's number
		return ok && back == e
	}
	switch target {
	case fs.ErrPermission:
		return e == EACCES || e == EPERM
	case fs.ErrExist:
		return e == EEXIST || e == ENOTEMPTY
	case fs.ErrNotExist:
		return e == ENOENT
	case errors.ErrUnsupported:
		return e == ENOSYS || e == EOPNOTSUPP || e == ENOTSUPP
	}
	return false
}

// Temporary reports whether repeating the call may succeed, as syscall.Errno
// does.
func (e Errno) Temporary() bool {
	return e == EINTR || e == EMFILE || e == ENFILE || e.Timeout()
}

// Timeout reports whether e says that a time limit was reached.
func (e Errno) Timeout() bool { return e == EAGAIN || e == ETIMEDOUT }

// Of returns the first error number in err's tree: an [Errno], or a
// syscall.Errno of the host with a Linux equivalent.
func Of(err error) (e Errno, ok bool) {
	if errors.As(err, &e) {
		return e, true
	}
	var h syscall.Errno
	if errors.As(err, &h) {
		return fromHost(h)
	}
	return 0, false
}

// wrapped is a sentence that stands for an error number.
type wrapped struct {
	errno Errno
	err   error
}

func (w *wrapped) Error() string   { return w.err.Error() + ": " + w.errno.Error() }
func (w *wrapped) Unwrap() []error { return []error{w.errno, w.err} }

// Errorf returns an error that reads as the formatted sentence followed by e's
// text. It unwraps to e first, then to whatever %w in the format names.
func Errorf(e Errno, format string, args ...any) error {
	return &wrapped{e, fmt.Errorf(format, args...)}
}

// Wrap returns an error that reads as err followed by e's text, and unwraps to
// e first, then to err. It returns nil if err is nil.
func Wrap(e Errno, err error) error {
	if err == nil {
		return nil
	}
	return &wrapped{e, err}
}
