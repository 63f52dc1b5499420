"""Who is let in, and what delays whom."""
