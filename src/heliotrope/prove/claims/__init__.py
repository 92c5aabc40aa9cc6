"""Avoided-emissions claims: what may honestly be minted, and the exact bytes that the log and the contract share."""
