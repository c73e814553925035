package verifier

import (
	"math"

	"github.com/skep-ebpf/skep/internal/errno"
)

// Log levels: bits of bpf_attr.log_level.
const (
	LogLevel1 uint32 = 1 << iota // the last path and the error
	LogLevel2                    // every instruction of every path
	LogStats                     // statistics at the end
	LogFixed                     // keep the log's beginning, not its end, if it is too long

	logMask = LogLevel1 | LogLevel2 | LogStats | LogFixed
)

// longestMessage is how much text one message may have; the rest is cut
// (BPF_VERIFIER_TMP_LOG_SIZE).
const longestMessage = 1023

// Log is the verifier's log in a buffer of limited size. If the text does not
// fit, the buffer keeps its end (or its beginning, with LogFixed). A nil Log
// takes nothing.
type Log struct {
	level uint32
	size  int // of the user's buffer, with the terminating zero; 0: only count

	// What is kept is buf[head:]: the text from position end-len to position end.
	buf  []byte
	head int
	// start and end are the positions of the kept text in everything that was
	// written; max the largest end ever seen, plus the terminating zero.
	start, end, max uint64
}

// NewLog makes a log. size is the size of the user's buffer in bytes; memory is
// taken as text arrives. The error is EINVAL for a bad level or size
// (bpf_verifier_log_attr_valid).
func NewLog(level uint32, size uint32) (*Log, error) {
	if level&^logMask != 0 || size > math.MaxUint32>>2 || level == 0 && size > 0 {
		return nil, errno.EINVAL
	}
	return &Log{level: level, size: int(size)}, nil
}

// Level gives the log level.
func (l *Log) Level() uint32 {
	if l == nil {
		return 0
	}
	return l.level
}

// String is the text in the user's buffer.
func (l *Log) String() string {
	if l == nil {
		return ""
	}
	return string(l.buf[l.head:])
}

// TrueSize is the size of buffer that the whole log would have needed
// (log_true_size).
func (l *Log) TrueSize() uint32 {
	if l == nil {
		return 0
	}
	return uint32(min(l.max, math.MaxUint32))
}

// Err is ENOSPC when the log did not fit in its buffer.
func (l *Log) Err() error {
	if l != nil && l.size > 0 && l.max > uint64(l.size) {
		return errno.ENOSPC
	}
	return nil
}

// on says whether any of the levels is wanted (bpf_verifier_log_needed for 1|2).
func (l *Log) on(levels uint32) bool { return l != nil && l.level&levels != 0 }

// text writes one message.
func (l *Log) text(s string) {
	if l == nil || l.level == 0 {
		return
	}
	if len(s) > longestMessage {
		s = s[:longestMessage]
	}
	l.advance(len(s))
	if n := l.room(len(s)); n > 0 {
		l.buf = append(l.buf, s[:n]...)
	}
	l.trim()
}

// bytes writes one message that is known to be short enough.
func (l *Log) bytes(b []byte) {
	if l == nil || l.level == 0 {
		return
	}
	l.advance(len(b))
	if n := l.room(len(b)); n > 0 {
		l.buf = append(l.buf, b[:n]...)
	}
	l.trim()
}

func (l *Log) advance(n int) {
	l.end += uint64(n)
	l.max = max(l.max, l.end+1)
}

// room says how many of the next n bytes are kept.
func (l *Log) room(n int) int {
	if l.size == 0 {
		return 0
	}
	if l.level&LogFixed == 0 {
		return n
	}
	return max(0, min(n, l.size-1-(len(l.buf)-l.head)))
}

// trim forgets the oldest text if there is too much.
func (l *Log) trim() {
	if l.level&LogFixed != 0 {
		return
	}
	if over := len(l.buf) - l.head - (l.size - 1); l.size > 0 && over > 0 {
		l.head += over
	}
	l.start = l.end - uint64(len(l.buf)-l.head)
	if l.head > 4096 && l.head > len(l.buf)/2 {
		l.buf = l.buf[:copy(l.buf, l.buf[l.head:])]
		l.head = 0
	}
}

// pos is the position at the end, for rewind.
func (l *Log) pos() uint64 {
	if l == nil {
		return 0
	}
	return l.end
}

// rewind takes back what was written after pos (bpf_vlog_reset).
func (l *Log) rewind(pos uint64) {
	if l == nil || l.level == 0 || pos > l.end {
		return
	}
	kept := len(l.buf) - l.head
	if l.level&LogFixed != 0 {
		l.buf = l.buf[:l.head+min(kept, int(pos))]
	} else if back := l.end - pos; back < uint64(kept) {
		l.buf = l.buf[:len(l.buf)-int(back)]
	} else {
		l.buf, l.head, l.start = l.buf[:0], 0, pos
	}
	l.end = pos
}
