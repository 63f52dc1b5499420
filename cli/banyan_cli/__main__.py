"""`python -m banyan_cli`, the same as `banyan`."""

from banyan_cli.main import run

run()
