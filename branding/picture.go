package branding

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"image"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Bounds of what is taken (ruling 37), and of what is made of it.
const (
	MaxUpload = 1 << 20 // bytes
	maxSide   = 2000    // pixels
	maxPixels = 4 << 20
	outWidth  = 480 // pixels; pages show it at half of that, for screens with small pixels
	outHeight = 160
	outBytes  = 256 << 10
	// maxScans bounds the passes of a JPEG: each costs time for all of the picture,
	// however few bytes it has itself.
	maxScans = 64
)

// format is one kind of file that is taken.
type format struct {
	is     func([]byte) bool
	whole  func([]byte) string // code of what is wrong with the file around the picture; "": nothing
	size   func([]byte) (image.Config, error)
	decode func([]byte) (image.Image, error)
}

func formats() []format {
	return []format{
		{is: begins("\x89PNG\r\n\x1a\n"), whole: wholePNG,
			size:   func(b []byte) (image.Config, error) { return png.DecodeConfig(bytes.NewReader(b)) },
			decode: func(b []byte) (image.Image, error) { return png.Decode(bytes.NewReader(b)) }},
		{is: begins("\xff\xd8\xff"), whole: wholeJPEG,
			size:   func(b []byte) (image.Config, error) { return jpeg.DecodeConfig(bytes.NewReader(b)) },
			decode: func(b []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(b)) }},
		{is: func(b []byte) bool { return len(b) > 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP" }, whole: wholeWebP,
			size:   func(b []byte) (image.Config, error) { return webp.DecodeConfig(bytes.NewReader(b)) },
			decode: func(b []byte) (image.Image, error) { return webp.Decode(bytes.NewReader(b)) }},
	}
}

func begins(magic string) func([]byte) bool {
	return func(b []byte) bool { return bytes.HasPrefix(b, []byte(magic)) }
}

// Read makes a logo of an uploaded file: PNG, at most 480 × 160 and 256 KiB, with
// nothing in it but the pixels. Its caller sees to it that few run at a time: one
// may take about 100 MB.
//
// Errors: Invalid; codes too_large, picture (not PNG, JPEG or WebP), svg,
// picture_broken, picture_big, animated.
func Read(field string, b []byte) ([]byte, error) {
	wrong := func(code string) error {
		return authn.InvalidField(field, code, map[string]any{"Side": maxSide, "Max": MaxUpload >> 20})
	}
	if len(b) > MaxUpload {
		return nil, wrong("too_large")
	}
	for _, f := range formats() {
		if !f.is(b) {
			continue
		}
		size, err := f.size(b)
		if err != nil {
			return nil, wrong("picture_broken")
		}
		if size.Width < 1 || size.Height < 1 || size.Width > maxSide || size.Height > maxSide || size.Width*size.Height > maxPixels {
			return nil, wrong("picture_big")
		}
		if code := f.whole(b); code != "" {
			return nil, wrong(code)
		}
		m, err := f.decode(b)
		if err != nil || m.Bounds().Dx() != size.Width || m.Bounds().Dy() != size.Height {
			return nil, wrong("picture_broken")
		}
		return write(m)
	}
	if bytes.Contains(bytes.ToLower(b[:min(len(b), 4096)]), []byte("<svg")) {
		return nil, wrong("svg")
	}
	return nil, wrong("picture")
}

// write scales and encodes; what is too detailed becomes smaller.
func write(m image.Image) ([]byte, error) {
	width, height := m.Bounds().Dx(), m.Bounds().Dy()
	if width > outWidth {
		width, height = outWidth, max(1, height*outWidth/width)
	}
	if height > outHeight {
		width, height = max(1, width*outHeight/height), outHeight
	}
	for {
		out := image.NewNRGBA(image.Rect(0, 0, width, height))
		draw.CatmullRom.Scale(out, out.Bounds(), m, m.Bounds(), draw.Src, nil)
		var b bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, out); err != nil {
			return nil, err
		}
		if b.Len() <= outBytes {
			return b.Bytes(), nil
		}
		width, height = max(1, width*4/5), max(1, height*4/5)
	}
}

// measure is what pages need to know of a picture of ours.
func measure(b []byte) (authn.Logo, error) {
	size, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return authn.Logo{}, err
	}
	sum := sha256.Sum256(b)
	return authn.Logo{Hash: hex.EncodeToString(sum[:16]), Width: size.Width, Height: size.Height}, nil
}

// wholePNG walks the chunks (PNG, third edition, section 5): the file ends where
// the picture does, and has one frame.
func wholePNG(b []byte) string {
	for b = b[8:]; len(b) >= 12; {
		n := int64(binary.BigEndian.Uint32(b))
		if n > int64(len(b)-12) {
			return "picture_broken"
		}
		switch string(b[4:8]) {
		case "acTL":
			return "animated"
		case "IEND":
			if len(b) > 12 {
				return "picture_broken"
			}
			return ""
		}
		b = b[12+n:]
	}
	return "picture_broken"
}

// wholeJPEG wants the end of the picture at the end of the file (ITU-T T.81, B.2.1),
// and a number of scans that a picture for the web has.
func wholeJPEG(b []byte) string {
	if !bytes.HasSuffix(b, []byte{0xff, 0xd9}) || bytes.Count(b, []byte{0xff, 0xda}) > maxScans {
		return "picture_broken"
	}
	return ""
}

// wholeWebP walks the chunks (RFC 9649, section 2): the file ends where they do, and
// the picture inside is no larger than the frame around it says. The decoder finds
// that out only when it has made room for it.
func wholeWebP(b []byte) string {
	if int64(binary.LittleEndian.Uint32(b[4:])) != int64(len(b)-8) {
		return "picture_broken"
	}
	pictures := 0
	for b = b[12:]; len(b) > 0; {
		if len(b) < 8 {
			return "picture_broken"
		}
		n := int64(binary.LittleEndian.Uint32(b[4:]))
		if n+n%2 > int64(len(b)-8) {
			return "picture_broken"
		}
		name, data := string(b[:4]), b[8:8+n]
		width, height := 1, 1
		switch {
		case name == "ANIM" || name == "ANMF":
			return "animated"
		case name == "VP8 " && len(data) >= 10:
			width, height = int(binary.LittleEndian.Uint16(data[6:])&0x3fff), int(binary.LittleEndian.Uint16(data[8:])&0x3fff)
			pictures++
		case name == "VP8L" && len(data) >= 5:
			bits := binary.LittleEndian.Uint32(data[1:])
			width, height = int(bits&0x3fff)+1, int(bits>>14&0x3fff)+1
			pictures++
		}
		if width > maxSide || height > maxSide || width*height > maxPixels {
			return "picture_big"
		}
		b = b[8+n+n%2:]
	}
	if pictures != 1 {
		return "picture_broken"
	}
	return ""
}
