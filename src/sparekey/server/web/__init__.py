"""The basis of both consoles: registry of pages, visits, replies, the frame of pages, and browser security (S61)."""
