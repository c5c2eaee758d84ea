package sns

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/message/httpsend"
)

// AWS's test suite for Signature Version 4 (aws-sig-v4-test-suite): post-vanilla,
// post-x-www-form-urlencoded, post-x-www-form-urlencoded-parameters, and
// post-header-key-case, whose canonical request is that of post-vanilla.
func TestSign_published(t *testing.T) {
	k := key{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service"}
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	for what, c := range map[string]struct{ kind, body, signed, signature string }{
		"vanilla": {"", "", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		"form": {"application/x-www-form-urlencoded", "Param1=value1", "content-type;host;x-amz-date",
			"ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
		"form with parameters": {"application/x-www-form-urlencoded; charset=utf8", "Param1=value1", "content-type;host;x-amz-date",
			"1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
	} {
		r, err := http.NewRequest(http.MethodPost, "https://example.amazonaws.com/", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.kind != "" {
			r.Header.Set("Content-Type", c.kind)
		}
		sign(r, c.body, k, at.In(time.FixedZone("elsewhere", 3*3600)))
		want := "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=" + c.signed + ", Signature=" + c.signature
		if got := r.Header.Get("Authorization"); got != want || r.Header.Get("X-Amz-Date") != "20150830T123600Z" {
			t.Errorf("%s:\n%s, want\n%s", what, got, want)
		}
	}
}

func TestHosts_rul32(t *testing.T) {
	for region, want := range map[string]string{"eu-central-1": "https://sns.eu-central-1.amazonaws.com", "cn-north-1": "https://sns.cn-north-1.amazonaws.com.cn",
		"us-gov-west-1": "https://sns.us-gov-west-1.amazonaws.com", "ap-southeast-12": "https://sns.ap-southeast-12.amazonaws.com"} {
		s := sender{d: New(http.DefaultClient)}
		s.p.Region = region
		if s.base() != want {
			t.Errorf("%s: %s", region, s.base())
		}
	}
}

func TestKinds(t *testing.T) {
	for code, want := range map[string]string{
		"InvalidClientTokenId": "credentials", "SignatureDoesNotMatch": "credentials", "ExpiredTokenException": "credentials", "ThrottledException": "throttled",
		"Throttling": "throttled", "KMSThrottling": "throttled", "OptedOut": "blocked", "AuthorizationError": "permission", "AccessDeniedException": "permission",
		"KMSAccessDenied": "permission", "KMSDisabled": "permission", "EndpointDisabled": "unreachable", "InternalFailure": "down", "Odd": "other",
		"InvalidParameter": "other",
		"InvalidParameter Invalid parameter: PhoneNumber":               "number",
		"UserError the account is in the SMS sandbox, verify the Phone": "trial",
		"InvalidParameterValue Invalid parameter: SenderID":             "from",
		"InvalidParameter Invalid parameter: Message too long":          "content",
	} {
		name, words, _ := strings.Cut(code, " ")
		if got := kind(name, words); string(got) != want {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{`<PublishResponse><PublishResult><MessageId>a-b</MessageId></PublishResult></PublishResponse>`,
		`<ErrorResponse><Error><Code>Throttled</Code></Error></ErrorResponse>`, `<a/>`, `<PublishResponse/>`, `{}`, ""} {
		f.Add(200, []byte(s))
		f.Add(400, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		reply, e := read(httpsend.Answer{Status: status, Body: body})
		if (e == nil) != httpsend.IsReference(reply.Reference) || e == nil && status/100 != 2 {
			t.Errorf("%+v, %+v", reply, e)
		}
		if e != nil && !slices.Contains(httpsend.Reasons(), e.Reason) {
			t.Errorf("%+v", e)
		}
	})
}
