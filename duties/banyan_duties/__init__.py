"""Duties of platforms, and what orders, receipts and appeals come to. No I/O, clock or randomness."""
