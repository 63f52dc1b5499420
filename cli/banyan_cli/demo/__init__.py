"""`banyan demo`: three platforms and a hobbyist, four real nodes on this machine, telling a short story."""
