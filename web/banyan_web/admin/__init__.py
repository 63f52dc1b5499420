"""The admin API, /v1/admin: for tokens with the scope `admin`, which only `banyan token add` gives."""
