package bounds_test

import (
	"fmt"

	"github.com/skep-ebpf/skep/internal/verifier/bounds"
)

// A byte is loaded, doubled and compared with 100.
func Example() {
	r1 := bounds.Unknown()
	r1.Truncate(1)
	r1 = bounds.Apply(bounds.Mul, bounds.W64, r1, bounds.Const(2))
	fmt.Println(&r1)

	ways := bounds.Refine(bounds.LT, bounds.W64, r1, bounds.Const(100))
	fmt.Println("r1 < 100: ", &ways.TrueA)
	fmt.Println("otherwise:", &ways.FalseA)
	// Output:
	// scalar(smin=smin32=0,smax=umax=smax32=umax32=510,var_off=(0x0; 0x1fe))
	// r1 < 100:  scalar(smin=smin32=0,smax=umax=smax32=umax32=99,var_off=(0x0; 0x7e))
	// otherwise: scalar(smin=umin=smin32=umin32=100,smax=umax=smax32=umax32=510,var_off=(0x0; 0x1fe))
}
