"""Links to peers: who is dialled, why one cannot be reached, whether all that there is was seen."""
