"""What others tell over a wire or a socket: a BMC, a PDU, a scraped page, the node's daemon."""
