"""Archives of other services, as these make them, and what becomes of them."""
