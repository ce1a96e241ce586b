"""Scale, format and quality: what each screen gets of a frame, encoded once for all who get the same."""
