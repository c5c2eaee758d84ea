package otp_test

import (
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/otp"
)

func Example() {
	key := otp.Key{Secret: otp.Secret("12345678901234567890")} // otp.NewSecret(nil) in earnest
	uri, _ := otp.URI{Issuer: "ACME Co", Account: "maya@example.com", Key: key}.Encode()
	fmt.Println(uri)
	fmt.Println(key.Secret.Grouped())

	now := time.Unix(1_764_000_000, 0)
	last := int64(-1) // from the store
	for _, typed := range []string{"１２３ ４５６", "030-543", "030 543"} {
		code, err := otp.Normalize(typed, key.Digits)
		if err != nil {
			fmt.Println(err)
			continue
		}
		step, result, err := key.Check(now, 1, last, code)
		fmt.Println(result, err)
		if result == otp.Accepted {
			last = step // to the store, in the same transaction as the session
		}
	}
	// Output:
	// otpauth://totp/ACME%20Co:maya@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=ACME%20Co
	// GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ
	// wrong <nil>
	// accepted <nil>
	// used <nil>
}
