"""Plausible mistakes, planted one at a time: a suite that notices none of them promises less than it says."""
