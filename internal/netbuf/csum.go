package netbuf

import (
	"encoding/binary"
	"math/bits"
)

// CsumAdd adds two checksums with end-around carry (csum_add).
func CsumAdd(a, b uint32) uint32 {
	sum, carry := bits.Add32(a, b, 0)
	return sum + carry
}

// CsumSub takes one checksum out of another (csum_sub).
func CsumSub(a, b uint32) uint32 { return CsumAdd(a, ^b) }

// CsumPartial adds the 16-bit words of b, as a little-endian machine loads them,
// to a checksum of 32 bits (csum_partial). An odd byte counts as if a zero
// followed.
func CsumPartial(b []byte, sum uint32) uint32 {
	total, carry := uint64(sum), uint64(0)
	for len(b) >= 8 {
		total, carry = bits.Add64(total, binary.LittleEndian.Uint64(b), carry)
		b = b[8:]
	}
	var rest [8]byte
	copy(rest[:], b)
	total, carry = bits.Add64(total, binary.LittleEndian.Uint64(rest[:]), carry)
	total, carry = bits.Add64(total, 0, carry)
	total += carry
	return CsumAdd(uint32(total), uint32(total>>32))
}

// CsumFold folds a checksum to 16 bits and inverts it (csum_fold).
func CsumFold(sum uint32) uint16 { return ^CsumFrom32To16(sum) }

// CsumFrom32To16 folds a checksum to 16 bits (csum_from32to16).
func CsumFrom32To16(sum uint32) uint16 {
	sum = sum&0xffff + sum>>16
	return uint16(sum + sum>>16)
}

// CsumUnfold is the 32-bit checksum of a folded one, inversion aside
// (csum_unfold).
func CsumUnfold(sum uint16) uint32 { return uint32(sum) }

// CsumBlockSub takes the checksum of a block off bytes into the data out of the
// data's checksum (csum_block_sub): a block at an odd place counts byte-swapped.
func CsumBlockSub(sum, block, off uint32) uint32 {
	if off&1 != 0 {
		block = bits.RotateLeft32(block, 8)
	}
	return CsumSub(sum, block)
}
