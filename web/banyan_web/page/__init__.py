"""The node's own pages, which a browser reads without JavaScript, and checks with it. Start reading at public.py."""
