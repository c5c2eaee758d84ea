package password

import (
	_ "embed"
	"strings"
	"sync"
)

// commonText are the most tried passwords of at least eight characters, the most
// frequent first; where they come from stands in the file.
//
//go:embed common.txt
var commonText string

// alsoCommon are tried of late, or stand in lists of words rather than of passwords.
const alsoCommon = `
	0987654321 123123123 12341234 123456789012345 87654321 987654321 abcdefgh abcdefghijklmno adminadmin administrator administrator1
	basketball changeme123 characters correcthorsebatterystaple default1 jennifer letmein123 welcome123 mypassword newpassword yourpassword
	michelle p@ssw0rd p@ssword passwordpassword password12345 password123456 qwertyuiopasdf qwertyuiopasdfghjklzxcvbnm qwertz123 qwertzuiop
	azertyuiop rootroot test12345 testtest summer2024 summer2025 summer2026 winter2024 winter2025 winter2026 autumn2025 spring2025 spring2026
`

var commonSet = sync.OnceValue(func() map[string]bool {
	set := make(map[string]bool, 12_000)
	for line := range strings.Lines(commonText) {
		if w := strings.TrimSuffix(line, "\n"); w != "" && !strings.HasPrefix(w, "#") {
			set[fold(w)] = true
		}
	}
	for w := range strings.FieldsSeq(alsoCommon) {
		set[w] = true
	}
	return set
})

// common reports whether a case-folded password is in the built-in list.
func common(folded string) bool { return commonSet()[folded] }
