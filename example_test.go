package skep_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log"

	"github.com/skep-ebpf/skep"
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/capture"
)

// A packet's way from a capture file through the firewall to its verdict.
func Example() {
	k, err := skep.New(skep.Config{CPUs: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()

	coll, err := k.LoadFile("examples/firewall/firewall.o", nil)
	if err != nil {
		log.Fatal(err) // a *skep.VerifierError has the verifier's log
	}
	defer coll.Close()

	packets, err := capture.Open("testdata/captures/odd.pcap")
	if err != nil {
		log.Fatal(err)
	}
	defer packets.Close()

	verdicts := map[uint32]int{}
	for {
		p, err := packets.Next()
		if err != nil {
			break // io.EOF
		}
		res, err := coll.Programs["firewall"].Run(skep.RunOptions{Data: p.Data})
		if err != nil {
			log.Fatal(err)
		}
		verdicts[res.Return]++
	}
	fmt.Println("XDP_DROP", verdicts[1])
	fmt.Println("XDP_PASS", verdicts[2])
	// Output:
	// XDP_DROP 81
	// XDP_PASS 57
}

// A program that the verifier refuses, and what it says.
func ExampleVerifierError() {
	k, err := skep.New(skep.Config{CPUs: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()

	// An XDP program that reads its first packet byte without asking how long
	// the packet is.
	code, err := insn.Assemble(`
		r2 = *(u32 *)(r1 +0)
		r0 = *(u8 *)(r2 +0)
		exit`)
	if err != nil {
		log.Fatal(err)
	}
	_, err = k.Task().LoadProgram(skep.ProgramSpec{Name: "careless", Type: "xdp", License: "GPL", Insns: code})
	var rejected *skep.VerifierError
	if errors.As(err, &rejected) {
		fmt.Println(rejected)
		fmt.Println("at instruction", rejected.Insn)
	}
	// Output:
	// program careless rejected at instruction 1: invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0) (EACCES)
	// at instruction 1
}

// Maps are read and written as user space does.
func ExampleMap() {
	k, err := skep.New(skep.Config{CPUs: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()

	m, err := k.Task().CreateMap(skep.MapSpec{Name: "limits", Type: "hash", KeySize: 4, ValueSize: 8, MaxEntries: 16})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	key := []byte{10, 0, 0, 1}
	if err := m.Update(key, binary.LittleEndian.AppendUint64(nil, 100), 0); err != nil {
		log.Fatal(err)
	}
	value, err := m.Lookup(key)
	fmt.Println(binary.LittleEndian.Uint64(value), err)
	// Output: 100 <nil>
}
