package oracle

import (
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const supported = true

// Release returns the running kernel's release, such as "6.18.44".
func Release() string { return release() }

var release = sync.OnceValue(func() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
})

// PossibleCPUs returns the number of possible CPUs, the number of values that a
// per-CPU map's element has.
func PossibleCPUs() int { return possibleCPUs() }

var possibleCPUs = sync.OnceValue(func() int {
	b, err := os.ReadFile("/sys/devices/system/cpu/possible")
	if err != nil {
		return 1
	}
	// A list of ranges such as "0-3,8"; the last number counts.
	list := strings.FieldsFunc(strings.TrimSpace(string(b)), func(r rune) bool { return r == ',' || r == '-' })
	if len(list) == 0 {
		return 1
	}
	last, err := strconv.Atoi(list[len(list)-1])
	if err != nil {
		return 1
	}
	return last + 1
})

func closeFD(fd int) { _ = unix.Close(fd) }
