package sns

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

type key struct{ id, secret, region, service string }

// sign adds X-Amz-Date and Authorization to r: AWS Signature Version 4 over all
// its headers, the host and body. It is for requests without a query to a path
// that needs no escaping.
func sign(r *http.Request, body string, k key, at time.Time) {
	stamp := at.UTC().Format("20060102T150405Z")
	r.Header.Set("X-Amz-Date", stamp)
	headers := map[string]string{"host": r.URL.Host}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	signed := strings.Join(names, ";")
	request := r.Method + "\n" + r.URL.EscapedPath() + "\n\n"
	for _, name := range names {
		request += name + ":" + strings.Join(strings.Fields(headers[name]), " ") + "\n"
	}
	request += "\n" + signed + "\n" + digest(body)
	scope := stamp[:8] + "/" + k.region + "/" + k.service + "/aws4_request"
	mac := []byte("AWS4" + k.secret)
	for _, part := range strings.Split(scope, "/") {
		mac = hash(mac, part)
	}
	signature := hex.EncodeToString(hash(mac, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+digest(request)))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+k.id+"/"+scope+", SignedHeaders="+signed+", Signature="+signature)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func hash(key []byte, s string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(s))
	return mac.Sum(nil)
}
