package policy_test

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/policy"
)

// Every JSON of docs/policy.md is a policy, or a change with one; each preset is
// there as it is; and every field has its words.
func TestManual(t *testing.T) {
	raw, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(raw)
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(manual, -1)
	if len(blocks) < 10 {
		t.Fatalf("%d documents", len(blocks))
	}
	for _, b := range blocks {
		text := []byte(b[1])
		var change struct {
			Version  int64           `json:"version"`
			Document json.RawMessage `json:"document"`
		}
		if err := json.Unmarshal(text, &change); err != nil {
			t.Errorf("%v:\n%s", err, text)
		}
		if change.Version > 0 {
			text = change.Document
		}
		if _, err := policy.Parse(text); err != nil {
			t.Errorf("%v:\n%s", err, text)
		}
	}
	for _, p := range policy.Presets() {
		_, section, found := strings.Cut(manual, "\n### "+p.Name+"\n")
		_, doc, fenced := strings.Cut(section, "```json\n")
		doc, _, ended := strings.Cut(doc, "```")
		if !found || !fenced || !ended {
			t.Errorf("%s is not there", p.Name)
			continue
		}
		if d, err := policy.Parse([]byte(doc)); err != nil || !reflect.DeepEqual(d, p.Document) {
			t.Errorf("%s is another one: %+v %v", p.Name, d, err)
		}
	}
	fields := reflect.TypeFor[policy.Document]()
	for i := range fields.NumField() {
		name, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ",")
		if name != "" && !strings.Contains(manual, "`"+name+"`") {
			t.Errorf("%s has no words", name)
		}
	}
}
