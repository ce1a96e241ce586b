"""The web server: canvases, jobs and everything that a browser or a script talks to."""
