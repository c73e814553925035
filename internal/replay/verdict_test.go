package replay

import "testing"

func TestNames(t *testing.T) {
	for _, tc := range []struct {
		typ    string
		value  uint32
		length int
		name   string
		passes bool
		keep   int
	}{
		{"xdp", 0, 60, "XDP_ABORTED", false, -1},
		{"xdp", 1, 60, "XDP_DROP", false, -1},
		{"xdp", 2, 60, "XDP_PASS", true, -1},
		{"xdp", 3, 60, "XDP_TX", true, -1},
		{"xdp", 4, 60, "XDP_REDIRECT", true, -1},
		{"xdp", 5, 60, "5 (invalid)", false, -1},
		{"sched_cls", 0, 60, "TC_ACT_OK", true, -1},
		{"sched_cls", 2, 60, "TC_ACT_SHOT", false, -1},
		{"sched_cls", 7, 60, "TC_ACT_REDIRECT", true, -1},
		{"sched_cls", 8, 60, "TC_ACT_TRAP", false, -1},
		{"sched_cls", ^uint32(0), 60, "TC_ACT_UNSPEC", true, -1},
		{"sched_cls", 0x80000b8, 60, "800:b8", true, -1},
		{"sched_cls", 0x8000000, 60, "800:", true, -1},
		{"sched_cls", 0x20, 60, ":20", true, -1},
		{"sched_act", 3, 60, "TC_ACT_PIPE", true, -1},
		{"sched_act", 0x100, 60, "256 (as TC_ACT_UNSPEC)", true, -1},
		{"socket_filter", 0, 60, "drop", false, 0},
		{"socket_filter", 46, 60, "accept", true, -1},
		{"socket_filter", 45, 60, "accept 45 bytes", true, 45},
		{"socket_filter", 0xffffffff, 60, "accept", true, -1},
		{"socket_filter", 0, 14, "drop", false, 0},
	} {
		n := namings[tc.typ]
		key := tc.value
		if n.key != nil {
			key = n.key(tc.value, tc.length)
		}
		got := n.verdict(key)
		if got.Name != tc.name || got.Passes != tc.passes || got.Keep != tc.keep {
			t.Errorf("%s %#x: %+v, want %s", tc.typ, tc.value, got, tc.name)
		}
	}
}

// Statistics stay small whatever programs and captures do.
func TestLimits(t *testing.T) {
	s := &Stats{}
	l := &loop{stats: s, rows: map[uint32]*Row{}, naming: namings["sched_cls"]}
	for v := range uint32(maxRows + 1000) {
		l.row(v<<4|1, 60).Packets++
	}
	for i := range 100 {
		s.refuse(string(rune('a' + i)))
	}
	s.sort()
	if len(s.Rows) != maxRows || s.Rows[0].Name != "other" || s.Rows[0].Packets != 1001 {
		t.Errorf("%d rows, first %+v", len(s.Rows), s.Rows[0])
	}
	if len(s.NotRun) != maxReasons+1 || s.Skipped() != 100 {
		t.Errorf("%d reasons, %d packets", len(s.NotRun), s.Skipped())
	}
}
