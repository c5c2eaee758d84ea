package branding

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
)

// pictureOf is a picture of noise, or of one colour.
func pictureOf(width, height int, noise bool) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range m.Pix {
		m.Pix[i] = 0x60
		if noise {
			m.Pix[i] = byte(r.Uint32())
		}
	}
	return m
}

func pngOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func chunk(name string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, name...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// pngHead is the begin of a PNG of a size that it does not have.
func pngHead(width, height uint32) []byte {
	h := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	return append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(h, 8, 6, 0, 0, 0))...)
}

// webpOf is a lossless WebP: 1 × 1 as Chromium writes it.
func webpOf(t testing.TB) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func riff(chunks ...[]byte) []byte {
	body := []byte("WEBP")
	for _, c := range chunks {
		body = append(body, c...)
	}
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

func riffChunk(name string, data []byte) []byte {
	b := append(binary.LittleEndian.AppendUint32([]byte(name), uint32(len(data))), data...)
	if len(data)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

// rul-37: what is no picture, is too large, or is something else as well.
func TestRead_refused_rul37(t *testing.T) {
	good := pngOf(t, pictureOf(40, 20, false))
	var moving bytes.Buffer
	if err := gif.Encode(&moving, pictureOf(4, 4, false), nil); err != nil {
		t.Fatal(err)
	}
	end := len(good) - 12
	apng := append(append(append([]byte{}, good[:33]...), chunk("acTL", make([]byte, 8))...), good[33:]...)
	vp8x := riffChunk("VP8X", []byte{0, 0, 0, 0, 9, 0, 0, 9, 0, 0}) // 10 × 10
	large := riffChunk("VP8L", append([]byte{0x2f}, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0))
	flood := jpegOf(t, pictureOf(8, 8, false))
	flood = append(append(append([]byte{}, flood[:len(flood)-2]...), bytes.Repeat([]byte{0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0}, 100)...), 0xff, 0xd9)
	for name, tt := range map[string]struct {
		b    []byte
		code string
	}{
		"empty":                         {nil, "picture"},
		"text":                          {[]byte("hello"), "picture"},
		"GIF":                           {moving.Bytes(), "picture"},
		"SVG":                           {[]byte(`<?xml version="1.0"?><SVG xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></SVG>`), "svg"},
		"a byte too many":               {append(append([]byte{}, good...), make([]byte, MaxUpload)...), "too_large"},
		"50,000 × 50,000":               {pngHead(50_000, 50_000), "picture_big"},
		"2,001 wide":                    {pngOf(t, pictureOf(2001, 1, false)), "picture_big"},
		"2,001 high":                    {pngOf(t, pictureOf(1, 2001, false)), "picture_big"},
		"truncated":                     {good[:len(good)/2], "picture_broken"},
		"a head and nothing":            {good[:8], "picture_broken"},
		"a bad checksum":                {append(append([]byte{}, good[:end-1]...), append([]byte{good[end-1] ^ 1}, good[end:]...)...), "picture_broken"},
		"an archive behind it":          {append(append([]byte{}, good...), "PK\x03\x04 an archive PK\x05\x06"...), "picture_broken"},
		"a page with PNG's first bytes": {[]byte("\x89PNG\r\n\x1a\n<html><script>alert(1)</script></html>"), "picture_broken"},
		"moving PNG":                    {apng, "animated"},
		"JPEG with a page behind it":    {append(jpegOf(t, pictureOf(8, 8, false)), "<html>"...), "picture_broken"},
		"JPEG of a hundred scans":       {flood, "picture_broken"},
		"JPEG cut":                      {jpegOf(t, pictureOf(80, 80, true))[:300], "picture_broken"},
		"moving WebP":                   {riff(vp8x, riffChunk("ANIM", make([]byte, 6))), "animated"},
		"WebP larger than it says":      {riff(vp8x, large), "picture_big"},
		"WebP of two pictures":          {riff(webpOf(t)[12:], webpOf(t)[12:]), "picture_broken"},
		"WebP with something behind":    {append(webpOf(t), "PK\x03\x04"...), "picture_broken"},
		"WebP without a picture":        {riff(vp8x), "picture_broken"},
		"WebP cut":                      {webpOf(t)[:30], "picture_broken"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := Read("logo", tt.b)
			var e *authn.Error
			if !errors.As(err, &e) || e.Code != authn.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != "logo" || e.Fields[0].Code != tt.code || out != nil {
				t.Errorf("%d bytes, %+v", len(out), err)
			}
		})
	}
}

// What comes out is ours: small, PNG, and nothing but pixels.
func TestRead_writesAnew(t *testing.T) {
	secret := "somewhere in Malmö"
	commented := func() []byte {
		b := pngOf(t, pictureOf(40, 20, false))
		return append(append(append([]byte{}, b[:33]...), chunk("tEXt", []byte("Location\x00"+secret))...), b[33:]...)
	}()
	for name, tt := range map[string]struct {
		b             []byte
		width, height int
	}{
		"PNG":               {pngOf(t, pictureOf(40, 20, false)), 40, 20},
		"PNG with a remark": {commented, 40, 20},
		"JPEG":              {jpegOf(t, pictureOf(64, 32, true)), 64, 32},
		"WebP":              {webpOf(t), 1, 1},
		"wide":              {pngOf(t, pictureOf(2000, 100, false)), 480, 24},
		"high":              {pngOf(t, pictureOf(100, 2000, false)), 8, 160},
		"a line":            {pngOf(t, pictureOf(2000, 1, false)), 480, 1},
		"large":             {pngOf(t, pictureOf(2000, 2000, false)), 160, 160},
		"noise":             {jpegOf(t, pictureOf(960, 320, true)), 384, 128},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := Read("logo", tt.b)
			if err != nil {
				t.Fatal(err)
			}
			size, err := png.DecodeConfig(bytes.NewReader(out))
			if err != nil || size.Width > outWidth || size.Height > outHeight || len(out) > outBytes || bytes.Contains(out, []byte(secret)) {
				t.Errorf("%+v, %d bytes, %v", size, len(out), err)
			}
			if name != "noise" && (size.Width != tt.width || size.Height != tt.height) {
				t.Errorf("%d × %d", size.Width, size.Height)
			}
			again, err := Read("logo", out)
			if err != nil || !bytes.Equal(again, out) {
				t.Errorf("our own picture changes: %v", err)
			}
		})
	}
	// The pixels are the file's.
	m := pictureOf(10, 10, false)
	m.Set(3, 4, color.NRGBA{R: 200, G: 10, B: 20, A: 255})
	out, err := Read("logo", pngOf(t, m))
	if err != nil {
		t.Fatal(err)
	}
	back, err := png.Decode(bytes.NewReader(out))
	if err != nil || color.NRGBAModel.Convert(back.At(3, 4)) != (color.NRGBA{R: 200, G: 10, B: 20, A: 255}) {
		t.Errorf("%v, %v", back.At(3, 4), err)
	}
}

// One picture at a time: whoever does not wait for those before is told to come again.
func TestRead_gate(t *testing.T) {
	s := &Service{gate: make(chan struct{}, 1)}
	good := pngOf(t, pictureOf(4, 2, false))
	s.gate <- struct{}{} // somebody else's
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.read(gone, "logo", good); !errors.Is(err, authn.Busy) || authn.AsError(err).RetryAfter == 0 {
		t.Errorf("%v", err)
	}
	<-s.gate
	for range 2 {
		if _, err := s.read(t.Context(), "logo", good); err != nil {
			t.Error(err)
		}
	}
}

// Nothing that somebody uploads takes the process down or gets through as it is.
func FuzzRead(f *testing.F) {
	f.Add(pngOf(f, pictureOf(6, 3, true)))
	f.Add(jpegOf(f, pictureOf(6, 3, true)))
	f.Add(webpOf(f))
	f.Add(pngHead(50_000, 50_000))
	f.Add([]byte("<svg/>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := Read("logo", b)
		if err != nil {
			if e := authn.AsError(err); e.Code != authn.Invalid || len(e.Fields) != 1 || strings.TrimSpace(e.Fields[0].Code) == "" {
				t.Errorf("%v", err)
			}
			return
		}
		size, err := png.DecodeConfig(bytes.NewReader(out))
		if err != nil || size.Width > outWidth || size.Height > outHeight || len(out) > outBytes || wholePNG(out) != "" {
			t.Errorf("%+v, %d bytes, %v", size, len(out), err)
		}
	})
}
