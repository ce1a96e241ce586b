"""The browser bench: what the pages do in a real Chromium, seen through its developer tools."""
