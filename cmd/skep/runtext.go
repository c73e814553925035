package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-ebpf/skep"
)

// Limits on what is shown on paper, without --all.
const (
	shownRows  = 20
	shownElems = 16
	barWidth   = 30
)

// print shows the report on paper.
func (r *report) print(a *app, o *runOptions) {
	w := a.out
	fmt.Fprintf(w, "%s (%s, %s instructions) over %s (%v)\n\n",
		r.program.Name, r.program.Type, thousands(r.insns), o.pcap, r.link)
	r.printVerdicts(w)
	r.printFigures(w, o)
	r.printMaps(w)
	r.printEvents(w)
	r.printPrintk(w)
}

func (r *report) printVerdicts(w io.Writer) {
	rows := r.stats.Rows
	if len(rows) == 0 {
		return
	}
	shown := rows
	if !r.all && len(shown) > shownRows {
		shown = shown[:shownRows]
	}
	name, count := len("verdict"), len("packets")
	for _, row := range shown {
		name, count = max(name, len(row.Name)), max(count, len(thousands(row.Packets)))
	}
	fmt.Fprintf(w, "  %-*s  %*s   share\n", name, "verdict", count, "packets")
	for _, row := range shown {
		share := float64(row.Packets) / float64(r.stats.Packets)
		fmt.Fprintf(w, "  %-*s  %*s  %5.1f%%  %s\n", name, row.Name, count, thousands(row.Packets), 100*share, bar(share))
	}
	if left := len(rows) - len(shown); left > 0 {
		fmt.Fprintf(w, "  … %s (--all shows them)\n", plural(left, "more verdict"))
	}
	fmt.Fprintln(w)
}

// bar draws a share in eighths of a character.
func bar(share float64) string {
	eighths := int(share*barWidth*8 + 0.5)
	if eighths == 0 && share > 0 {
		eighths = 1
	}
	s := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		s += string([]rune(" ▏▎▍▌▋▊▉")[rest])
	}
	return s
}

func (r *report) printFigures(w io.Writer, o *runOptions) {
	s := r.stats
	fmt.Fprintf(w, "  %s, %s bytes: %s packets/s, %s ns/packet in the program; %v in all\n",
		plural(s.Packets, "packet"), thousands(int(s.Bytes)), thousands(int(s.Rate())), thousands(int(s.PerPacket())), s.Elapsed.Round(time.Microsecond))
	if s.Framed {
		fmt.Fprintf(w, "  the capture has no Ethernet headers: each packet was given one\n")
	}
	if s.Cut > 0 {
		fmt.Fprintf(w, "  %s cut short by the capture and run as they are\n", plural(s.Cut, "packet"))
	}
	for _, n := range s.NotRun {
		fmt.Fprintf(w, "  not run: %s: %s\n", plural(n.Packets, "packet"), n.Reason)
	}
	if o.out != "" {
		fmt.Fprintf(w, "  %s written to %s\n", plural(r.written, "packet"), o.out)
	}
	if r.interrupted {
		fmt.Fprintf(w, "  interrupted: these are the figures so far\n")
	}
}

func (r *report) printMaps(w io.Writer) {
	for i := range r.maps {
		d := &r.maps[i]
		if d.Name == ".rodata" || strings.HasPrefix(d.Name, ".rodata.") {
			if !r.all {
				continue // constants: the program cannot have changed them
			}
		}
		if isEvents(d.Map) {
			continue
		}
		fmt.Fprintln(w)
		d.print(w)
	}
}

func isEvents(m *skep.Map) bool { return m.Type == "ringbuf" || m.Type == "perf_event_array" }

// print shows a map: a line for each element, or for each variable of a data
// section.
func (d *mapDump) print(w io.Writer) {
	if isData(d.Map) {
		fmt.Fprintf(w, "%s\n", d.Name)
		for _, e := range d.elems {
			d.printVariables(w, e.values[0])
		}
		return
	}
	fmt.Fprintf(w, "%s (%s, %s)\n", d.Name, d.Type, d.size())
	d.table().write(w)
	if d.zero > 0 && d.zero < d.total {
		fmt.Fprintf(w, "  … %s of zeros\n", plural(d.zero, "entry"))
	}
	if n := d.left(); n > 0 {
		fmt.Fprintf(w, "  … %s (--all shows them)\n", plural(n, "more entry"))
	}
}

// table has a line for each element, and for each CPU where there are several,
// with the members of keys and values side by side.
func (d *mapDump) table() *table {
	var keys []column
	if d.KeySize > 0 {
		keys = columnsOf("key", d.Key)
	}
	values := columnsOf("value", d.Value)
	if what := idsOf[d.Type]; what != "" {
		values = columnsOf(what, number)
		if d.Key == nil && d.KeySize == 4 {
			keys = columnsOf("key", number)
		}
	}
	t := &table{}
	if len(d.elems) == 0 {
		return t
	}
	for _, c := range keys {
		t.names = append(t.names, c.name)
	}
	perCPU := len(d.elems[0].values) > 1
	if perCPU {
		t.names = append(t.names, "cpu")
	}
	for _, c := range values {
		t.names = append(t.names, c.name)
	}
	for _, e := range d.elems {
		for cpu, v := range e.values {
			row := cells(keys, e.key, d.width)
			if perCPU {
				row = append(row, strconv.Itoa(cpu))
			}
			t.rows = append(t.rows, append(row, cells(values, v, d.width)...))
		}
	}
	return t
}

// idsOf are the map types whose values are ids of other objects, for which there
// is no BTF.
var idsOf = map[string]string{"prog_array": "program id", "array_of_maps": "map id", "hash_of_maps": "map id"}

var number = &btf.Int{Name: "unsigned int", Size: 4}

// cells are the columns' texts, cut to width characters; 0: whole.
func cells(columns []column, b []byte, width int) []string {
	out := make([]string, 0, len(columns)+maxColumns)
	for i := range columns {
		out = append(out, clip(columns[i].cell(b), width))
	}
	return out
}

// shownWidth is how wide a cell is without --all.
const shownWidth = 96

func clip(s string, width int) string {
	if width == 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// size says how much is in the map.
func (d *mapDump) size() string {
	switch {
	case d.total == 0:
		return "empty, room for " + thousands(d.MaxEntries)
	case d.zero == d.total:
		return plural(d.total, "entry") + ", all zeros"
	case isArray(d.Map):
		return plural(d.total, "entry")
	case d.more:
		return fmt.Sprintf("more than %s of %s", thousands(d.total), plural(d.MaxEntries, "entry"))
	}
	return fmt.Sprintf("%s of %s", thousands(d.total), plural(d.MaxEntries, "entry"))
}

func (d *mapDump) printVariables(w io.Writer, data []byte) {
	section, _ := btf.As[*btf.Datasec](d.Value)
	width := 0
	for _, v := range section.Vars {
		width = max(width, len(v.Type.TypeName()))
	}
	for _, v := range section.Vars {
		variable, ok := v.Type.(*btf.Var)
		if !ok || int(v.Offset)+int(v.Size) > len(data) {
			continue
		}
		fmt.Fprintf(w, "  %-*s  %s\n", width, variable.Name, clip(valueText(variable.Type, data[v.Offset:v.Offset+v.Size]), d.width))
	}
}

// printEvents prints a table for each map, and for each form of its records.
func (r *report) printEvents(w io.Writer) {
	if r.stats.Events == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", plural(r.stats.Events, "event"))
	for from := 0; from < len(r.events); {
		first := r.events[from]
		to := from + 1
		for to < len(r.events) && r.events[to].Map == first.Map && r.events[to].typ == first.typ {
			to++
		}
		eventTable(r.events[from:to], r.width()).write(w)
		from = to
	}
	if n := r.stats.Events - len(r.events); n > 0 {
		fmt.Fprintf(w, "  … %s (--all shows them)\n", plural(n, "more event"))
	}
}

// eventTable has a line for each of the events, which are of one map and type.
func eventTable(events []event, width int) *table {
	columns := columnsOf("data", events[0].typ)
	t := &table{names: []string{"map", "packet"}}
	for _, c := range columns {
		t.names = append(t.names, c.name)
	}
	lost := slices.ContainsFunc(events, func(e event) bool { return e.Lost > 0 })
	if lost {
		t.names = append(t.names, "lost before")
	}
	for _, e := range events {
		row := append([]string{e.Map, strconv.Itoa(e.Packet)}, cells(columns, e.Data, width)...)
		if lost {
			row = append(row, strconv.FormatUint(e.Lost, 10))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func (r *report) printPrintk(w io.Writer) {
	if r.printk.total == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s of printk\n", plural(r.printk.total, "line"))
	for _, l := range r.printk.kept {
		fmt.Fprintf(w, "  %s\n", strconv.QuoteToGraphic(l)[1:len(strconv.QuoteToGraphic(l))-1])
	}
	if n := r.printk.total - len(r.printk.kept); n > 0 {
		fmt.Fprintf(w, "  … %s (--all shows them)\n", plural(n, "more line"))
	}
}

// thousands writes a number with separators.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

func plural(n int, what string) string {
	if n != 1 {
		if strings.HasSuffix(what, "y") {
			what = strings.TrimSuffix(what, "y") + "ie"
		}
		what += "s"
	}
	return thousands(n) + " " + what
}
