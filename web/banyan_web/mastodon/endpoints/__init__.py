"""The endpoints of the client API, by what they are about."""
