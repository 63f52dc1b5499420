"""The door of a platform: HTTP for apps, browsers and other backends. Start reading at app.py."""
