// Package browsertest drives the pages of a whole server in a real Chromium: as
// people do, by mouse and by keyboard, with JavaScript and without, in both
// themes, from 320 px to wide.
//
// It holds tests only. They guard what no test of a handler sees: that the
// content security policy stops nothing of ours and says nothing on the console,
// that Back, Reload and a double click charge nobody twice, that a phone reads
// the QR code off the screen, and that each page can be read, reached and used.
// Without Chromium they are skipped and say so; SALLYPORT_TEST_REQUIRE=chromium
// makes that a failure. SALLYPORT_SCREENSHOTS names a folder for pictures of
// every page.
package browsertest
