package replay

import (
	"encoding/hex"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

const zeroAddresses = "000000000000" + "000000000000"

func TestFraming(t *testing.T) {
	for _, tc := range []struct {
		link     layers.LinkType
		in, want string // want "": refused
	}{
		{layers.LinkTypeEthernet, "0102", "0102"},
		{layers.LinkTypeRaw, "45aa", zeroAddresses + "0800" + "45aa"},
		{layers.LinkTypeRaw, "60aa", zeroAddresses + "86dd" + "60aa"},
		{layers.LinkTypeRaw, "10aa", ""},
		{layers.LinkTypeRaw, "", ""},
		{layers.LinkTypeNull, "02000000" + "45", zeroAddresses + "0800" + "45"},
		{layers.LinkTypeNull, "00000002" + "45", zeroAddresses + "0800" + "45"},
		{layers.LinkTypeNull, "1e000000" + "60", zeroAddresses + "86dd" + "60"},
		{layers.LinkTypeNull, "0000001c" + "60", zeroAddresses + "86dd" + "60"},
		{layers.LinkTypeNull, "07000000" + "45", ""},
		{layers.LinkTypeNull, "020000", ""},
		{layers.LinkTypeLoop, "00000002" + "45", zeroAddresses + "0800" + "45"},
		{layers.LinkTypeLinuxSLL, "0000" + "0001" + "0006" + "0a0b0c0d0e0f0000" + "0806" + "ff", "000000000000" + "0a0b0c0d0e0f" + "0806" + "ff"},
		{layers.LinkTypeLinuxSLL, "0000" + "0304" + "0000" + "0000000000000000" + "0800" + "45", zeroAddresses + "0800" + "45"},
		{layers.LinkTypeLinuxSLL, "0000" + "0001" + "0006" + "0a0b0c0d0e0f0000" + "0004" + "ff", ""},
		{layers.LinkTypeLinuxSLL, "0000", ""},
		{layers.LinkTypeLinuxSLL2, "86dd" + "0000" + "00000001" + "0001" + "00" + "06" + "0a0b0c0d0e0f0000" + "60", "000000000000" + "0a0b0c0d0e0f" + "86dd" + "60"},
	} {
		frame, err := framingOf(tc.link)
		if err != nil {
			t.Fatal(err)
		}
		in, err := hex.DecodeString(tc.in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := frame(nil, in)
		if hex.EncodeToString(got) != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%v %s: %x, %v", tc.link, tc.in, got, err)
		}
	}
	if _, err := framingOf(layers.LinkTypeIEEE802_11); err == nil {
		t.Error("802.11 is no Ethernet")
	}
}

func FuzzFraming(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x00\x06abcdefgh\x08\x00packet"))
	f.Fuzz(func(t *testing.T, in []byte) {
		for link, frame := range framings {
			out, err := frame(nil, in)
			if err == nil && link != layers.LinkTypeEthernet && len(out) < ethernetHeader {
				t.Errorf("%v: a frame of %d bytes", link, len(out))
			}
		}
	})
}
