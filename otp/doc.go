// Package otp makes and checks the one-time codes of authenticator apps: HOTP
// (RFC 4226), TOTP (RFC 6238) and the otpauth URIs that carry a key into an app.
// It needs nothing beyond the standard library and does no I/O, so that another
// program can use it alone.
//
// # Flow
//
// Enrolment: [NewSecret], [URI.Encode] for the QR code and [Secret.Grouped] for
// typing it in; the first code is checked with [Key.Check], and when it is wrong
// [Key.ClockOffset] may explain why. Sign-in: [Normalize] once, then [Key.Check]
// with the last accepted step of that factor; the caller stores the returned
// step in the statement that accepts the proof ("… WHERE last_step < step").
// Import: [ParseURI] or [DecodeSecret].
//
// # Threats
//
//   - Replay (RFC 6238 5.2: the second use of a code MUST NOT be accepted):
//     Check knows the last accepted step and accepts only a larger one, so that
//     neither the same code nor T+1 followed by T passes. The step is the reuse
//     key, never the typed string: "123 456" and "123456" are one code.
//   - Guessing: six digits and three steps give a guesser 3 in 1,000,000 for each
//     try. That is safe only behind a count of failures per factor (RFC 4226 7.3),
//     which is the caller's; therefore the window is capped here at one step
//     either side (RFC 6238 5.2), and the wide search for a phone's wrong clock
//     never yields an acceptance.
//   - Timing: all steps of the window are computed and compared in constant time,
//     whichever matches, and no match ends the work early.
//   - Leaks: a [Secret] prints as "[secret]" and does not marshal; no error of
//     this package repeats its input.
//   - Odd input before sign-in: every parser bounds its input before it looks at
//     it, and is fuzzed.
//   - An empty key (a lost or unsealed-to-nothing secret) would make codes that
//     anyone can compute: keys under 80 bits are refused by every function.
//
// HMAC-SHA-1 is what every app reads and is not weakened by SHA-1's collisions
// (RFC 6194 3.3), but it does not run under GODEBUG=fips140=only: there SHA1 keys
// panic, and SHA256 or SHA512 has to be used.
package otp
