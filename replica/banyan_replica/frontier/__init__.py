"""Where every log stands, in arrays, and the sums and sketches over them. Start reading at index.py."""
