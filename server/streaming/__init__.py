"""Frames on their way to screens: pure policy and bytes, no web server and no gRPC."""
