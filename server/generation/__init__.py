"""Where frames come from: jobs, the queue and producer of each canvas, the inference service."""
