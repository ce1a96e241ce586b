"""How much may be on its way to a subscriber, and when the next frame may leave: pure policy."""
