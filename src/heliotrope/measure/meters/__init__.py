"""The meters, as siblings: each module holds one, with `probe` and `open_meter`."""
