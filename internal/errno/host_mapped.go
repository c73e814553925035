//go:build darwin || windows || js || wasip1

package errno

import (
	"sync"
	"syscall"
)

func toHost(e Errno) (syscall.Errno, bool) {
	h, ok := host[e]
	return h, ok
}

// reverse is host by the host's number. Where the host gives one number to two
// names, the smaller Linux number wins.
var reverse = sync.OnceValue(func() map[syscall.Errno]Errno {
	m := make(map[syscall.Errno]Errno, len(host))
	for e, h := range host {
		if old, ok := m[h]; !ok || e < old {
			m[h] = e
		}
	}
	return m
})

func fromHost(h syscall.Errno) (Errno, bool) {
	e, ok := reverse()[h]
	return e, ok
}
