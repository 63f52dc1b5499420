"""Cards under links: what a page says of itself. Start reading at link_cards.py."""
