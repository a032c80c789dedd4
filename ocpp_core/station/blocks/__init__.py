"""The functional blocks: each a small state, its deadlines, and what it does when something comes in."""
