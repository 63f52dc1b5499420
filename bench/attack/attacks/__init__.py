"""One module per attack that needs sockets: what can be said in messages is in banyan_sim.attacks. The module's name is
the attack's name; nothing else names it."""
