"""What `banyan doctor` looks at beside the store: ports.py, http_door.py, versions.py, system_limits.py. Each function
answers (ok, a sentence); ok None: there was nothing to check."""
