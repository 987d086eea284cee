"""The store on disk: one state file, sealed units, keys, and what may stay."""
