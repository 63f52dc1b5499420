"""`python -m banyan_cli`, the same as `banyan`."""


def run() -> None:
    """The console script. Ctrl-C while the program is loaded ends it as ctrl-C does later."""
    try:
        from banyan_cli import main
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    main.run()


if __name__ == "__main__":
    run()
