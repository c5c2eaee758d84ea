package password

import "strings"

// common knows only the most tried passwords of eight characters and more. The
// full list (requirement J1, std-42) comes in through Config.Common.
func common(folded string) bool { return commonSet[folded] }

var commonSet = func() map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(`
		12345678 123456789 1234567890 12345678910 123123123 11111111 00000000 87654321 987654321 0987654321
		88888888 66666666 12341234 11223344 112233445566 123456789012345 111111111111111 000000000000000
		1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qaz2wsx3edc q1w2e3r4 q1w2e3r4t5 qwertyui qwertyuiop qwerty123 qwerty12
		qwerty1234 qwerty12345 qwerty123456 qwertyuiopasdf qwertyuiopasdfghjklzxcvbnm asdfghjkl asdfasdf zxcvbnm123
		abcd1234 abc12345 abc123456 a1b2c3d4 aa123456 a123456789 abcdefgh abcdefghijklmno
		password passw0rd p@ssw0rd p@ssword password1 password12 password123 password1234 password12345 password123456
		passwordpassword mypassword newpassword yourpassword changeme changeme123 letmein1 letmein123 welcome1 welcome123
		iloveyou iloveyou1 sunshine princess football baseball basketball superman starwars trustno1 whatever
		computer internet michelle jennifer samsung1 pokemon1 charlie1 monkey123 dragon123 master123 admin123
		administrator administrator1 adminadmin rootroot testtest test1234 test12345 secret123 default1
		summer2024 summer2025 summer2026 winter2024 winter2025 winter2026 autumn2025 spring2025 spring2026
		correcthorsebatterystaple
	`) {
		set[w] = true
	}
	return set
}()
