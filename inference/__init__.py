"""The inference service: paints pictures over gRPC and knows nothing of canvases or browsers."""
