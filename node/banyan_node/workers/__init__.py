"""The thread that drives the replica, and the threads and processes that take work from it."""
