"""How two frontiers are made equal: what is compared, asked, served and owed. Start reading at sync.py."""
