"""What `banyan doctor` looks at beside the store: ports.py, door.py, versions.py, limits.py. Each function answers
(ok, a sentence); ok None: there was nothing to check."""
