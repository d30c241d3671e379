"""Long jobs that outlive a request: the queue, the worker that runs them, and who keeps a worker alive."""
