"""The platform API, /v1: what the backend of a platform plugs into."""
