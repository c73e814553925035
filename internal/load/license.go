package load

import "slices"

// gplLicenses are the texts that license_is_gpl_compatible accepts.
var gplLicenses = []string{
	"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL",
}

// GPLCompatible says whether a license allows GPL-only helpers.
func GPLCompatible(license string) bool { return slices.Contains(gplLicenses, license) }
