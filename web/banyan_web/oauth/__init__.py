"""How people and apps log in: OAuth 2.0 (RFC 6749, 7009, 7636, 8414), and the login page."""
