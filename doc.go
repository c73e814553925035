// Package skep is the eBPF subsystem of Linux in user space: programs compiled
// for the kernel are loaded through the same bpf(2) attributes, verified with
// the kernel's verdicts and log, and run, as an ordinary user, on any operating
// system that Go runs on.
//
// A [Kernel] is a value: a process can have many, each with its own programs,
// maps, CPUs and clock. Everything goes through [Task.BPF], which takes the
// binary union bpf_attr of Linux 6.18; the rest of this package is a
// convenience over it:
//
//	k, err := skep.New(skep.Config{})
//	coll, err := k.LoadFile("firewall.o", nil)
//	res, err := coll.Programs["firewall"].Run(skep.RunOptions{Data: packet})
//
// Errors wrap the errno that Linux would give, so that errors.Is(err,
// unix.EINVAL) works; a rejected program's error is a [*VerifierError].
package skep
