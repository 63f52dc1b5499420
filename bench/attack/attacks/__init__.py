"""Attacks that need sockets: what can be said in messages is in banyan_sim.attacks. The class's name is the attack's
name; nothing else names it."""
