"""Sound: from a few numbers about it to what a canvas makes of them."""
