"""Storage remembers. Start reading at engine.py, the ordered tables that everything above is written on."""
