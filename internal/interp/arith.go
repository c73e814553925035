package interp

// Division as RFC 9669 section 4.1 defines it: by zero it gives zero, and the
// remainder is the dividend; the most negative number by -1 is itself, with
// remainder 0, which is what Go's operators give.

func div64(a, b uint64) uint64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func mod64(a, b uint64) uint64 {
	if b == 0 {
		return a
	}
	return a % b
}

func div32(a, b uint64) uint64 {
	divisor := uint32(b)
	if divisor == 0 {
		return 0
	}
	return uint64(uint32(a) / divisor)
}

func mod32(a, b uint64) uint64 {
	divisor := uint32(b)
	if divisor == 0 {
		return uint64(uint32(a))
	}
	return uint64(uint32(a) % divisor)
}

func sdiv64(a, b uint64) uint64 {
	if b == 0 {
		return 0
	}
	return uint64(int64(a) / int64(b))
}

func smod64(a, b uint64) uint64 {
	if b == 0 {
		return a
	}
	return uint64(int64(a) % int64(b))
}

func sdiv32(a, b uint64) uint64 {
	divisor := int32(b)
	if divisor == 0 {
		return 0
	}
	return uint64(uint32(int32(a) / divisor))
}

func smod32(a, b uint64) uint64 {
	divisor := int32(b)
	if divisor == 0 {
		return uint64(uint32(a))
	}
	return uint64(uint32(int32(a) % divisor))
}
