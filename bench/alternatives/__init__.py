"""Servers that do the same in other ways: what the product's server is measured beside.

Each is a program with the same command line, and its source is inside it: frames come into being in
the process that sends them, so that what is measured is sending.
"""
