"""The log's formats as others know them (RFC 6962, C2SP), pure: trees, tiles, notes, checkpoints, proofs, policies."""
