"""What a plug meter, a PDU or a BMC said of the same joules, and the correction that follows from it."""
