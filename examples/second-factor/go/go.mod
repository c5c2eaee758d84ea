module example.com/second-factor

go 1.26.0

require github.com/sallyport-mfa/sallyport v0.0.0

// In your own module leave this out.
replace github.com/sallyport-mfa/sallyport => ../../..
