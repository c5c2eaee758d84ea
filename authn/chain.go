package authn

// SealedEvent is an event with what its link in the chain covers of it.
type SealedEvent struct {
	Event
	// Commitment stands in the chain for Personal, so that erasing that keeps the
	// chain verifiable (ruling 40).
	Commitment []byte
	// Damaged says that Personal is there and cannot be opened, or is not what
	// was committed to. What was erased is empty and not damaged.
	Damaged bool
}
