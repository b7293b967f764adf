"""What the suites share: a server to start, clients that talk to it, things to make in it, exports to read."""
