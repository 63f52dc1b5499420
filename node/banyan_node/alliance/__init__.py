"""How an operator takes part in an alliance: the seat's keys, invitations, and what a vote changes, in words."""
