package abi

import (
	"github.com/skep-ebpf/skep/insn"
	"github.com/skep-ebpf/skep/internal/object"
	"github.com/skep-ebpf/skep/internal/rewrite"
)

// dump is the translated program as user space sees it.
func dump(p *object.Prog) []byte { return insn.Encode(rewrite.Xlated(p.Code)) }
