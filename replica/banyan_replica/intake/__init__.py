"""What comes in is judged, and only what is true is stored. Start reading at ingest.py."""
