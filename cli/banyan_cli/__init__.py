"""What a person sees: the `banyan` command."""
