"""Where the bytes of a log are read from to verify it: a database, a folder, a web server."""
