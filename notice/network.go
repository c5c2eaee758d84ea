package notice

// Network is about where an address is: enough for a person to tell home from
// abroad, and not enough to find somebody (/24 and /48). Empty: no address.
func Network(address string) string { return network(address) }
