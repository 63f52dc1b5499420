"""The command `banyan`."""

import gc

gc.set_threshold(50_000, 20, 100)  # what is loaded stays: looking for garbage in it was a sixth of each start
