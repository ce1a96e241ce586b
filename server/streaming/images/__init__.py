"""Image files: encoding, decoding, judging, and what of them travels."""
