"""The inference bench: engines, the scheduler above them, and diffusers' own loop beside them."""
