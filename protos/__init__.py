"""The gRPC contract and the code generated from it; ``python -m protos`` makes it anew."""
