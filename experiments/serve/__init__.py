"""Serving a champion to agent harnesses, over HTTP and over MCP: they run the worker, the server says what is next."""
