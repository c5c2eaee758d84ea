package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

//go:embed assets
var assetFiles embed.FS

const assetPrefix = "/assets/"

// asset is one file under /assets/.
type asset struct {
	file string // "app.1f3a….css"
	hash string
	kind string
	body []byte
}

// kinds are the types that we serve; a file of another kind is a mistake.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

var assets = sync.OnceValue(func() map[string]asset {
	all := map[string]asset{}
	err := fs.WalkDir(assetFiles, "assets", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := assetFiles.ReadFile(p)
		if err != nil {
			return err
		}
		name, ext := path.Base(p), path.Ext(p)
		if kinds[ext] == "" {
			return fmt.Errorf("%s: no content type", p)
		}
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:8])
		all[name] = asset{file: strings.TrimSuffix(name, ext) + "." + hash + ext, hash: hash, kind: kinds[ext], body: body}
		return nil
	})
	if err != nil {
		panic(fmt.Errorf("web: %w", err)) // the files are embedded; a test loads them
	}
	return all
})

// Asset is the address of one of our files, such as "app.css", with the hash of
// its content in it. It panics on a name that does not exist.
func Asset(name string) string {
	a, ok := assets()[name]
	if !ok {
		panic("web: there is no asset " + name)
	}
	return assetPrefix + a.file
}

// serveAsset serves a file for good: another content has another address. A
// page drawn by another version of the server, during an update, gets the
// current content, which is then not kept.
func serveAsset(w http.ResponseWriter, r *http.Request) error {
	file := r.PathValue("file")
	ext := path.Ext(file)
	base := strings.TrimSuffix(file, ext)
	name := strings.TrimSuffix(base, path.Ext(base)) + ext
	a, ok := assets()[name]
	if !ok || path.Ext(base) == "" {
		return authn.NotFound
	}
	cache := "public, max-age=31536000, immutable"
	if a.file != file {
		cache = "no-cache"
	}
	w.Header().Set("Cache-Control", cache)
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("ETag", `"`+a.hash+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
	return nil
}
