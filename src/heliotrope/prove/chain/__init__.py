"""The public chain: anchors of the log, and claims minted out of it, on an embedded chain or any JSON-RPC node."""
